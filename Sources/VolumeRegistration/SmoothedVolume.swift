import Foundation
import Volumes
import VoxelSupport

/// A volume whose intensities are positions in a histogram, 0 to bins - 1, blurred and sampled for one resolution.
struct SmoothedVolume: Sendable {
    let grid: VoxelGrid
    let voxels: [Float]

    /// Scales intensities linearly to 0...bins - 1, between the quantiles 0.001 and 0.999 of the finite ones; others are
    /// clamped. Voxels that are not finite become 0. `nil` if all finite voxels are equal.
    init?(_ volume: Volume, bins: Int) {
        guard let range = Self.robustRange(of: volume.voxels) else { return nil }
        let (low, scale) = (range.lowerBound, Double(bins - 1) / (range.upperBound - range.lowerBound))
        grid = volume.grid
        let last = Float(bins - 1)
        voxels = volume.voxels.map { value in
            value.isFinite ? min(max(Float((Double(value) - low) * scale), 0), last) : 0
        }
    }

    private init(grid: VoxelGrid, voxels: [Float]) { (self.grid, self.voxels) = (grid, voxels) }

    private static func robustRange(of voxels: [Float]) -> ClosedRange<Double>? {
        // An odd stride does not follow the rows of a volume.
        let stride = max(1, voxels.count / 100_000) | 1
        let sample = Swift.stride(from: 0, to: voxels.count, by: stride).map { voxels[$0] }
            .filter(\.isFinite).sorted()
        if !sample.isEmpty {
            let (low, high) = (sample[sample.count / 1000], sample[sample.count - 1 - sample.count / 1000])
            if low < high { return Double(low)...Double(high) }
        }
        // Few voxels differ from the rest.
        var (low, high) = (Float.infinity, -Float.infinity)
        for value in voxels where value.isFinite { (low, high) = (min(low, value), max(high, value)) }
        return low < high ? Double(low)...Double(high) : nil
    }

    /// The volume blurred to a resolution, and sampled at about half of it.
    ///
    /// Along an axis whose voxels are smaller than `width`, a Gaussian makes up for the difference in width (full width
    /// at half maximum, in millimetres), as in SPM. O(n).
    func blurred(to width: Double, threads: Int) -> SmoothedVolume {
        var result = self
        for axis in 0..<3 {
            let spacing = grid.spacing[axis]
            let factor = min(max(1, Int(width / (2 * spacing))), grid.shape[axis] / 2)
            let sigma = (max(0, width * width - spacing * spacing)).squareRoot() / 2.3548 / spacing
            guard sigma > 0.3 || factor > 1 else { continue }
            result = result.convolved(along: axis, sigma: sigma, factor: max(1, factor), threads: threads)
        }
        return result
    }

    /// The volume convolved with a Gaussian along an axis, and of every `factor` voxels one. Edges are repeated.
    private func convolved(along axis: Int, sigma: Double, factor: Int, threads: Int) -> SmoothedVolume {
        let count = grid.shape[axis]
        let centre = Double(factor - 1) / 2
        let reach = Int((3 * sigma).rounded(.up))
        let first = Int(centre) - reach
        let weights = (first...Int(centre.rounded(.up)) + reach).map { offset in
            let distance = (Double(offset) - centre) / max(sigma, 1e-3)
            return exp(-distance * distance / 2)
        }
        let kernel = weights.map { Float($0 / weights.reduce(0, +)) }

        var affine = grid.affine
        var origin = SIMD3<Double>.zero
        origin[axis] = centre
        affine.translation = grid.world(atVoxel: origin)
        switch axis {
        case 0: affine.columns.x *= Double(factor)
        case 1: affine.columns.y *= Double(factor)
        default: affine.columns.z *= Double(factor)
        }
        let old = grid.shape
        let shape = old.replacing(with: count / factor, at: axis)
        let new = VoxelGrid(shape: shape, affine: affine)
        let convolved = [Float](unsafeUninitializedCapacity: new.count) { buffer, initialized in
            nonisolated(unsafe) let result = buffer.baseAddress!
            voxels.withUnsafeBufferPointer { values in
                nonisolated(unsafe) let source = values.baseAddress!
                concurrentForEach(shape.z, threads: threads) { z in
                    for y in 0..<shape.y {
                        let row = result + (z * shape.y + y) * shape.x
                        if axis == 0 {
                            let line = source + (z * old.y + y) * old.x
                            for x in 0..<shape.x {
                                let start = x * factor + first
                                var total: Float = 0
                                if start >= 0, start + kernel.count <= old.x {
                                    for k in 0..<kernel.count { total += kernel[k] * line[start + k] }
                                } else {
                                    for k in 0..<kernel.count {
                                        total += kernel[k] * line[min(max(start + k, 0), old.x - 1)]
                                    }
                                }
                                row[x] = total
                            }
                            continue
                        }
                        row.update(repeating: 0, count: shape.x)
                        for k in 0..<kernel.count {
                            let place = min(max((axis == 1 ? y : z) * factor + first + k, 0), count - 1)
                            let line = source + (axis == 1 ? z * old.y + place : place * old.y + y) * old.x
                            let weight = kernel[k]
                            for x in 0..<shape.x { row[x] += weight * line[x] }
                        }
                    }
                }
            }
            initialized = new.count
        }
        return SmoothedVolume(grid: new, voxels: convolved)
    }
}

extension SIMD3<Int> {
    fileprivate func replacing(with value: Int, at index: Int) -> Self {
        var copy = self
        copy[index] = value
        return copy
    }
}
