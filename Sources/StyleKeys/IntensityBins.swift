import Preprocessing
import Volumes

/// Bins of equal width over the intensities of the foreground, [0.001, 1].
///
/// Edges are those of `numpy.histogram`: bins are half-open, [lower, upper), except the last, which includes its upper
/// edge.
struct IntensityBins {
    /// The edges of the bins, one more than there are bins.
    private let edges: [Double]

    init(count: Int) {
        let step = (Self.high - Self.low) / Double(count)
        edges = (0..<count).map { Double($0) * step + Self.low } + [Self.high]
    }

    /// The width of a bin, in units of intensity.
    var width: Double { (Self.high - Self.low) / Double(count) }

    /// The number of voxels in each bin. Background, and voxels outside all bins, are not counted.
    func counts(of fit: IntensityFit) -> [Int] {
        var counts = [Int](repeating: 0, count: count)
        for (voxel, isInside) in zip(fit.source.voxels, fit.isInside) where isInside {
            // In double precision, as NumPy: the scaled voxel may be rounded across an edge.
            let intensity = fit.scale.unit(Double(voxel))
            if intensity >= Self.low, intensity <= Self.high { counts[bin(of: intensity)] += 1 }
        }
        return counts
    }

    private var count: Int { edges.count - 1 }

    /// The bin of an intensity in [low, high]. The division may round across an edge, so its result is checked.
    private func bin(of intensity: Double) -> Int {
        let position = (intensity - Self.low) / (Self.high - Self.low) * Double(count)
        let guess = min(Int(position), count - 1)
        if intensity < edges[guess] { return guess - 1 }
        if guess < count - 1, intensity >= edges[guess + 1] { return guess + 1 }
        return guess
    }

    private static let low = IntensityConvention.backgroundThreshold
    private static let high = 1.0
}
