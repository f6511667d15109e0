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

    /// The target x_0 itself.
    public var parameterization: Parameterization { .sample }

    /// Any slice will do.
    public var sizeMultiple: Int { 1 }

    /// A denoiser of windows with `radius` slices on either side of their middle one.
    public init(radius: Int = 1) {
        precondition(radius >= 0, "a radius cannot be negative")
        self.radius = radius
    }

    /// The map under which the distribution of the source becomes the style's.
    public func conditioning(for source: Volume, style: StyleKey) throws -> IntensityMap {
        try IntensityMap(from: source, to: style)
    }

    /// The windows of the source, levelled and mapped; the noisy slices do not count.
    public func predict(
        _ windows: SliceWindows, at timestep: Int, conditioning map: IntensityMap
    ) async throws -> [Float] {
        var prediction: [Float] = []
        prediction.reserveCapacity(windows.count * windows.valuesPerWindow)
        for index in 0..<windows.count {
            let window = Array(windows.source(index))
            let length = windows.rows * windows.columns
            for (slice, gain) in gains(of: window, voxelsPerSlice: length).enumerated() {
                for value in window[slice * length..<(slice + 1) * length] {
                    // Gains act on intensities from 0 on, where the background is.
                    prediction.append(map((value + 1) * gain - 1))
                }
            }
        }
        return prediction
    }

    /// The gain for each slice of a window that brings their common foreground to one mean.
    private func gains(of window: [Float], voxelsPerSlice length: Int) -> [Float] {
        let slices = 2 * radius + 1
        var (sums, voxels) = ([Float](repeating: 0, count: slices), 0)
        let background = 2 * ForegroundMask.defaultThreshold - 1
        for voxel in 0..<length {
            let column = (0..<slices).lazy.map { window[$0 * length + voxel] }
            guard column.allSatisfy({ $0 > background }) else { continue }
            voxels += 1
            for (slice, value) in column.enumerated() { sums[slice] += value + 1 }
        }
        // A few voxels say nothing of a slice's level.
        guard voxels >= 100 else { return [Float](repeating: 1, count: slices) }
        let level = sums.reduce(0, +) / Float(slices)
        return sums.map { level / $0 }
    }
}
