import StyleKeys
import Volumes

extension LinePlot {
    /// The histograms of volumes over their common range of intensities, as shares of the voxels that are brighter than
    /// a fiftieth of it: the background would hide the rest. O(n).
    ///
    /// - Parameters:
    ///   - volumes: the volumes and their labels.
    ///   - bins: number of bins of equal width.
    public static func histogram(of volumes: KeyValuePairs<String, Volume>, bins: Int = 128) -> LinePlot {
        precondition(bins >= 2, "a histogram needs at least two bins")
        let windows = volumes.map { GreyWindow(fitting: $0.value) }
        let low = Double(windows.map(\.low).min() ?? 0)
        let high = max(Double(windows.map(\.high).max() ?? 1), low.nextUp)
        let foreground = Float(low + (high - low) / 50)
        let curves = volumes.map { entry in
            var counts = [Int](repeating: 0, count: bins)
            var all = 0
            for voxel in entry.value.voxels where voxel > foreground && voxel.isFinite {
                let place = (Double(voxel) - low) / (high - low) * Double(bins)
                counts[max(0, min(bins - 1, Int(min(place, 1e9))))] += 1
                all += 1
            }
            return Curve(
                label: entry.key,
                points: counts.enumerated().map { bin, count in
                    SIMD2(
                        low + (Double(bin) + 0.5) * (high - low) / Double(bins),
                        Double(count) / Double(max(1, all)))
                })
        }
        return LinePlot(
            title: "Histogram of the foreground", horizontal: "intensity", curves: curves, isLogarithmic: false)
    }

    /// The histograms of style keys over intensities from 0 to 1.
    public static func styleKeys(_ keys: KeyValuePairs<String, StyleKey>) -> LinePlot {
        let low = IntensityConvention.backgroundThreshold
        let curves = keys.map { label, key in
            Curve(
                label: label,
                points: key.histogram.enumerated().map { bin, value in
                    SIMD2(low + (Double(bin) + 0.5) * (1 - low) / Double(key.bins), Double(value))
                })
        }
        return LinePlot(title: "Style key", horizontal: "intensity", curves: curves, isLogarithmic: false)
    }
}
