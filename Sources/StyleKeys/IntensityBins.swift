import CVoxelKernels
import Preprocessing
import Volumes
import VoxelSupport

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

    private var count: Int { edges.count - 1 }

    /// The number of voxels in each bin. Background, and voxels outside all bins, are not counted.
    func counts(of fit: IntensityFit) -> [Int] {
        let foreground = [Float](unsafeUninitializedCapacity: fit.isInside.count) { values, count in
            for (voxel, isInside) in zip(fit.source.voxels, fit.isInside) where isInside {
                values[count] = voxel
                count += 1
            }
        }
        return counts(of: foreground, fit.scale)
    }

    /// The number of intensities in each bin, after scaling.
    func counts(of intensities: [Float], _ scale: IntensityScale) -> [Int] {
        let edges = floatEdges(scale)
        guard scale.isLinear else { return counts(of: intensities, edges: edges) }
        let range = scale.range
        let scale = Float(Double(count) / ((Self.high - Self.low) * (range.upperBound - range.lowerBound)))
        let parts = intensities.concurrentRuns { values in
            var counts = [Int](repeating: 0, count: count + 2)
            intensity_counts(values.baseAddress, values.count, edges[0], scale, count, edges, &counts)
            return counts
        }
        // The first and the last count are those of the voxels outside all bins.
        return (1...count).map { bin in parts.reduce(0) { $0 + $1[bin] } }
    }

    /// The number of voxels in each bin, by bisection.
    private func counts(of voxels: [Float], edges: [Float]) -> [Int] {
        var counts = [Int](repeating: 0, count: count + 2)
        for voxel in voxels { counts[edges.partitioningIndex { !($0 <= voxel) }] += 1 }
        return Array(counts[1...count])
    }

    /// The least intensity as stored in each bin, and the least above all.
    ///
    /// Scaling rounds, and voxels are compared after it, in 64 bits, as NumPy does. It keeps their order, so that each edge
    /// has a least stored number that reaches it: comparisons with that are as exact.
    private func floatEdges(_ scale: IntensityScale) -> [Float] {
        func least(where reaches: (Double) -> Bool) -> Float {
            // By bisection of the numbers in their order.
            var (below, above) = ((-Float.infinity).order, Float.infinity.order)
            while above - below > 1 {
                let middle = below + (above - below) / 2
                if reaches(scale.unit(Double(Float(order: middle)))) { above = middle } else { below = middle }
            }
            return Float(order: above)
        }
        return edges.dropLast().map { edge in least { $0 >= edge } } + [least { $0 > edges[count] }]
    }

    private static let low = IntensityConvention.backgroundThreshold
    private static let high = 1.0
}

extension [Float] {
    /// What `body` gives for each of several runs of the array, on all cores.
    fileprivate func concurrentRuns<Result: Sendable>(
        _ body: @Sendable (UnsafeBufferPointer<Float>) -> Result
    ) -> [Result] {
        let run = 1 << 18
        return concurrentMap((count + run - 1) / run) { part in
            withUnsafeBufferPointer {
                body(.init(rebasing: $0[part * run..<Swift.min((part + 1) * run, count)]))
            }
        }
    }
}

extension Float {
    /// A number with the order of the values.
    fileprivate var order: UInt32 { bitPattern ^ (bitPattern >> 31 == 1 ? 0xFFFF_FFFF : 0x8000_0000) }

    fileprivate init(order: UInt32) {
        self.init(bitPattern: order ^ (order >> 31 == 1 ? 0x8000_0000 : 0xFFFF_FFFF))
    }
}
