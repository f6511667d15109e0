import BridgeTraining
import VolumePhantoms
import VoxelBridge

/// The windows of synthetic subjects, in memory.
struct PhantomWindows: TrainingDataset {
    let radius: Int
    let rows: Int
    let columns: Int
    let fingerprint: String

    /// The average style of the subjects' targets.
    let style: StyleKey

    private var examples: [TrainingExample] = []

    /// All windows that contain brain.
    ///
    /// - Parameters:
    ///   - cohort: a cohort with slices of a size that the network supports.
    ///   - subjects: the subjects' numbers in the cohort.
    ///   - network: the network, which determines the sizes of windows and keys.
    init(_ cohort: PhantomCohort, subjects: Range<Int>, network: UNetConfiguration) throws {
        (rows, columns, radius) = (cohort.grid.shape.y, cohort.grid.shape.x, network.radius)
        fingerprint = "subjects \(subjects) of cohort \(cohort.seed), \(cohort.grid.shape)"
        var styles: [StyleKey] = []
        for subject in subjects.map(cohort.subject) {
            let style = try StyleKey(of: subject.target, bins: network.contextWidth!)
            let source = try subject.source.stack(radius: radius)
            let target = try subject.target.stack(radius: radius)
            let length = rows * columns
            for slice in 0..<source.shape.windows {
                let window = slice * length..<(slice + 2 * radius + 1) * length
                guard target.values[window].contains(where: { $0 > -1 }) else { continue }
                examples.append(
                    TrainingExample(
                        source: Array(source.values[window]), target: Array(target.values[window]), style: style
                    ))
            }
            styles.append(style)
        }
        style = try StyleKey(averaging: styles)
    }

    var count: Int { examples.count }

    func example(at index: Int) -> TrainingExample { examples[index] }
}

extension Volume {
    /// The slices, in [-1, 1], with slices of background beyond both ends.
    fileprivate func stack(radius: Int) throws -> SliceStack {
        SliceStack(
            try RescaleIntensity().apply(to: self).volume.scaledToNetworkRange(), plane: .axial, radius: radius,
            background: -1)
    }
}
