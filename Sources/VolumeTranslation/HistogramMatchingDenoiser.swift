import Preprocessing
import SliceSampling
import StyleKeys
import Volumes

/// A denoiser without a network: its estimate of x_0 is the source, with the histogram matched to the style.
///
/// It is a baseline for harmonising scanners whose images order tissues alike by brightness. It cannot translate
/// between modalities with different orders, such as CT and T1.
///
/// The slices of a window are first levelled: each is multiplied by a gain, so that the voxels that are foreground in
/// all of the window's slices have the same mean in each. Neighbouring slices contain nearly the same tissue;
/// differences in level come from acquisition or from a slice-wise method. Co-prediction propagates the level from
/// window to window.
public struct HistogramMatchingDenoiser: StyledDenoiser {
    /// N: the number of slices on either side of a window's middle slice.
    public let radius: Int

    /// `sample`: predictions are estimates of x_0.
    public var predictionType: PredictionType { .sample }

    /// 1: slices may have any size.
    public var sizeMultiple: Int { 1 }

    /// True: background stays background.
    public var maySkipBackground: Bool { true }

    /// False: predictions depend only on the source.
    public var dependsOnNoisy: Bool { false }

    /// A denoiser of windows with `radius` slices on either side of the middle slice.
    ///
    /// Wide windows level slices better, but remove more of the anatomical differences between slices. The default
    /// suits a spacing of 1 mm.
    public init(radius: Int = 3) {
        precondition(radius >= 0, "the radius must not be negative")
        self.radius = radius
    }

    /// The map from the source's distribution to the style's.
    public func conditioning(for source: Volume, style: StyleKey) throws -> IntensityMap {
        try IntensityMap(from: source, to: style)
    }

    /// The source slices of each window, levelled and mapped. The noisy slices and the timestep are not used.
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
                            // Gains scale intensities with the background at 0.
                            prediction.initializeElement(
                                at: start + voxel, to: map((source[voxel] + 1) * gain - 1))
                        }
                    }
                }
            }
            count = values
        }
    }

    /// The number of voxels needed to determine a slice's level.
    private static let leastForeground = 100

    /// The gain of each slice of a window that equalises the means of the voxels that are foreground in all slices.
    /// Slices with hardly any foreground keep a gain of 1.
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
