import Dispatch
public import Foundation
public import StyleKeys
import Synchronization

/// The training data of a manifest: every slice with enough foreground, and its neighbours.
///
/// ```swift
/// let manifest = try Manifest(contentsOf: URL(filePath: "pairs.csv"))
/// let data = try ManifestDataset.prepare(manifest, cache: folder, configuration: .published)
/// let run = try TrainingRun(..., training: data.training, validation: data.validation, ...)
/// ```
///
/// Volumes are prepared once and lie in a folder, from where they are mapped into memory: a run reads the slices it
/// needs. All slices are brought to the size of the largest by background around them.
public struct ManifestDataset: TrainingDataset {
    /// N.
    public let radius: Int
    /// Rows of every slice.
    public let rows: Int
    /// Columns of every slice.
    public let columns: Int
    /// The columns, or for sagittal slices the slices.
    public let leftRightAxis: WindowAxis

    private let subjects: [PreparedSubject]
    /// The subject and the slice of each example.
    private let places: [(subject: Int, slice: Int)]

    /// The names of the subjects.
    public var names: [String] { subjects.map(\.name) }

    /// How many slices there are.
    public var count: Int { places.count }

    /// The subjects' names, with the checksums of their slices.
    public var checksum: String {
        subjects.map { "\($0.name) \(String($0.record.checksum, radix: 16))" }.joined(separator: "\n")
    }

    /// The average of the subjects' style keys: what to translate with when no other style is wanted.
    public var averageStyle: StyleKey {
        get throws { try StyleKey(averaging: subjects.map(\.style)) }
    }

    /// The slice at an index and its neighbours, with the subject's style.
    ///
    /// - Throws: `SafetensorsError` where the prepared file cannot be read.
    public func example(at index: Int) throws -> TrainingExample {
        let (subject, slice) = (subjects[places[index].subject], places[index].slice)
        func window(_ kind: PreparedVolumeKind) throws -> [Float] {
            try subject.window(kind, around: slice, radius: radius, rows: rows, columns: columns)
        }
        return TrainingExample(
            source: try window(.source), target: try window(.target), style: subject.style)
    }

    /// Prepares the subjects of a manifest for training and validation.
    ///
    /// - Parameters:
    ///   - manifest: the table.
    ///   - cache: the folder for prepared volumes, which is made where it is not there. What lies there from an
    ///     earlier run is used again unless a file or a setting has changed.
    ///   - configuration: of the run.
    ///   - progress: told how many subjects are ready, out of how many.
    /// - Returns: the training data, and the validation data where the manifest has any.
    /// - Throws: `ManifestError` with everything that is wrong with the manifest and with its volumes.
    public static func prepare(
        _ manifest: Manifest, cache: URL, configuration: TrainingConfiguration,
        progress: (@Sendable (_ ready: Int, _ all: Int) -> Void)? = nil
    ) throws -> (training: ManifestDataset, validation: ManifestDataset?) {
        try FileManager.default.createDirectory(at: cache, withIntermediateDirectories: true)
        let wanted = manifest.subjects.filter { $0.split != .test }
        let minimum = configuration.data.minimumForeground
        let results = Mutex<[Int: Result<PreparedSubject, any Error>]>([:])
        DispatchQueue.concurrentPerform(iterations: wanted.count) { index in
            let result = Result {
                try PreparedSubject(
                    wanted[index], in: cache, settings: configuration.data,
                    bins: configuration.network.contextWidth ?? 128)
            }
            let ready = results.withLock { results in
                results[index] = result
                return results.count
            }
            progress?(ready, wanted.count)
        }
        var problems = manifest.problems
        let prepared = results.withLock { results in
            zip(wanted.indices, wanted).compactMap { index, subject -> PreparedSubject? in
                switch results[index] {
                case .success(let prepared)? where prepared.record.foreground.contains { $0 > minimum }:
                    return prepared
                case .success?:
                    let text = "no slice of the target has more than \(minimum) foreground voxels"
                    problems.append(.init(subject.line, "\(subject.target.path): \(text)"))
                case .failure(let error)?: problems.append(.init(subject.line, "\(error)"))
                case nil: break
                }
                return nil
            }
        }
        if !wanted.contains(where: { $0.split == .train }), manifest.problems.isEmpty {
            problems.append(.init(0, "names no subject of the split train"))
        }
        guard problems.isEmpty else {
            throw ManifestError(
                file: manifest.file.path, problems: problems.sorted { $0.line < $1.line })
        }
        let multiple = configuration.network.sizeMultiple
        let size = [prepared.map(\.rows).max()!, prepared.map(\.columns).max()!]
            .map { ($0 + multiple - 1) / multiple * multiple }
        func dataset(_ split: Manifest.Split) -> ManifestDataset {
            ManifestDataset(
                subjects: zip(prepared, wanted).filter { $1.split == split }.map(\.0), rows: size[0],
                columns: size[1], configuration: configuration)
        }
        let validation = dataset(.validation)
        return (dataset(.train), validation.count > 0 ? validation : nil)
    }

    private init(
        subjects: [PreparedSubject], rows: Int, columns: Int, configuration: TrainingConfiguration
    ) {
        (self.subjects, self.rows, self.columns) = (subjects, rows, columns)
        radius = configuration.network.radius
        leftRightAxis = configuration.data.plane == .sagittal ? .slices : .columns
        places = subjects.enumerated().flatMap { index, subject in
            subject.record.foreground.enumerated()
                .filter { $0.element > configuration.data.minimumForeground }
                .map { (subject: index, slice: $0.offset) }
        }
    }
}
