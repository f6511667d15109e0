import Volumes
import VoxelSupport

/// Gradient magnitude error: the mean of ||grad p| - |grad r||, in units of intensity per millimetre. 0 is best; blurred
/// and sharpened edges make it larger.
///
/// Gradients are central differences along the axes of the grid, over the voxels in the mask that have two neighbours
/// along each axis of three voxels or more. Voxels beyond the mask affect the gradient at its edge; a voxel with a NaN in a
/// neighbour is left out.
public struct GradientError: PairMetric {
    /// `gradient_error`.
    public let name = "gradient_error"
    /// The formula.
    public let definition = "mean of ||grad p| - |grad r||, central differences per mm"

    /// The error of gradients.
    public init() {}

    func value(of pair: VolumePair) throws -> Double {
        _ = try pair.comparableSums(for: name)
        let shape = pair.reference.shape
        let axes = (0..<3).filter { shape[$0] >= 3 }
        guard !axes.isEmpty else {
            throw MetricError.smallerThanWindow(metric: name, shape: shape, window: [3, 3, 3])
        }
        func inner(_ axis: Int) -> Range<Int> { shape[axis] >= 3 ? 1..<shape[axis] - 1 : 0..<shape[axis] }
        let strides = [1, shape.x, shape.x * shape.y]
        let factors = axes.map { (strides[$0], 1 / (2 * pair.reference.grid.spacing[$0])) }
        let (xs, ys, zs, isPartial) = (inner(0), inner(1), inner(2), pair.isPartial)
        let slices = concurrentMap(zs.count) { slice -> (Double, Int) in
            pair.prediction.voxels.withUnsafeBufferPointer { p in
                pair.reference.voxels.withUnsafeBufferPointer { r in
                    var (sum, count) = (0.0, 0)
                    for y in ys {
                        let row = pair.reference.grid.offset(0, y, zs.lowerBound + slice)
                        for index in row + xs.lowerBound..<row + xs.upperBound {
                            if isPartial, !pair.isCompared(index) { continue }
                            var (squareP, squareR) = (0.0, 0.0)
                            for (stride, factor) in factors {
                                let dp = (Double(p[index + stride]) - Double(p[index - stride])) * factor
                                let dr = (Double(r[index + stride]) - Double(r[index - stride])) * factor
                                squareP += dp * dp
                                squareR += dr * dr
                            }
                            let error = abs(squareP.squareRoot() - squareR.squareRoot())
                            guard error.isFinite else { continue }
                            sum += error
                            count += 1
                        }
                    }
                    return (sum, count)
                }
            }
        }
        let (sum, count) = slices.reduce((0.0, 0)) { ($0.0 + $1.0, $0.1 + $1.1) }
        guard count > 0 else { throw MetricError.emptyMask(metric: name) }
        return sum / Double(count)
    }
}
