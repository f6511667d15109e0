import Preprocessing
import SliceSampling
import StyleKeys
import Volumes

/// A denoiser that needs no network: it takes x_0 to be the source, with its intensities mapped so that their
/// distribution becomes the style's.
///
/// It is a baseline for harmonising scanners that show the same tissue in the same order of brightness. It
/// cannot translate between modalities that do not, as CT and T1.
///
/// The slices of a window are first brought to one level: each is multiplied by a gain, so that the voxels that
/// are foreground in all of the window's slices have one mean. Neighbouring slices cut nearly the same tissue;
/// where their levels differ, acquisition or a slice-wise method made them differ. A window can only level its
/// own slices; it is co-prediction that carries the level from window to window.
public struct HistogramMatchingDenoiser: StyledDenoiser {
    /// N: slices on either side of a window's middle one.
    public let radius: Int

    /// The sample: predictions are estimates of x_0.
    public var predictionType: PredictionType { .sample }

    /// Any slice will do.
    public var sizeMultiple: Int { 1 }

    /// Yes: background stays background.
    public var maySkipBackground: Bool { true }

    /// No: the source alone counts.
    public var dependsOnNoisy: Bool { false }

    /// A denoiser of windows with `radius` slices on either side of their middle one.
    ///
    /// Wide windows level slices better, and take more of what anatomy changes from slice to slice for a difference
    /// of levels. Three slices on either side suit a spacing of 1 mm.
    public init(radius: Int = 3) {
        precondition(radius >= 0, "a radius cannot be negative")
        self.radius = radius
    }

    /// The map under which the distribution of the source becomes the style's.
    public func conditioning(for source: Volume, style: StyleKey) throws -> IntensityMap {
        try IntensityMap(from: source, to: style)
    }

    /// The source slices of each window, levelled and mapped; neither the noisy slices nor the timestep count.
    public func predict(
        _ windows: SliceWindows, at timestep: Int, conditioning map: IntensityMap
    ) async throws -> [Float] {
        let length = windows.rows * windows.columns
        let values = windows.count * windows.valuesPerWindow
        return [Float](unsafeUninitializedCapacity: values) { prediction, count in
            for window in 0..<windows.count {
                let source = windows.source(window)
                let gains = Self.gains(of: source, slices: windows.slicesPerWindow, voxelsPerSlice: length)
                source.withUnsafeBufferPointer { source in
                    let start = window * windows.valuesPerWindow
                    for (slice, gain) in gains.enumerated() {
                        for voxel in slice * length..<(slice + 1) * length {
                            // Gains act on intensities from 0 on, where the background is.
                            prediction.initializeElement(
                                at: start + voxel, to: map((source[voxel] + 1) * gain - 1))
                        }
                    }
                }
            }
            count = values
        }
    }

    /// Fewer voxels say nothing of a slice's level.
    private static let leastForeground = 100

    /// The gain for each slice of a window that brings the voxels that are foreground in all of them to one mean.
    /// Slices of hardly anything but background are left out.
    private static func gains(
        of window: ArraySlice<Float>, slices: Int, voxelsPerSlice length: Int
    ) -> [Float] {
        window.withUnsafeBufferPointer { window in
            let background = IntensityConvention.network(fromUnit: ForegroundMask.defaultThreshold)
            func values(_ slice: Int) -> UnsafeBufferPointer<Float> {
                UnsafeBufferPointer(rebasing: window[slice * length..<(slice + 1) * length])
            }
            let counted = (0..<slices).filter { slice in
                values(slice).reduce(0) { $0 + ($1 > background ? 1 : 0) } >= leastForeground
            }
            var isCommon = [Bool](repeating: true, count: length)
            for slice in counted {
                let values = values(slice)
                for voxel in 0..<length { isCommon[voxel] = isCommon[voxel] && values[voxel] > background }
            }
            var gains = [Float](repeating: 1, count: slices)
            guard !counted.isEmpty, isCommon.reduce(0, { $0 + ($1 ? 1 : 0) }) >= leastForeground else {
                return gains
            }
            let sums = counted.map { slice in
                zip(values(slice), isCommon).reduce(Float(0)) { $0 + ($1.1 ? $1.0 + 1 : 0) }
            }
            let level = sums.reduce(0, +) / Float(sums.count)
            for (slice, sum) in zip(counted, sums) { gains[slice] = level / sum }
            return gains
        }
    }
}
