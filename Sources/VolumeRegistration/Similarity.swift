import Foundation
import Volumes
import VoxelSupport

/// Normalised mutual information of two volumes, as a function of the pose, and its gradient.
///
/// NMI = (H(F) + H(M)) / H(F, M) (Studholme, Hill, Hawkes 1999), with the entropies of the joint histogram h of fixed and
/// moving intensities at the sample points in the moving volume's field of view:
///
/// 1. h: a fixed intensity falls into the nearest bin, a moving one is divided linearly between two;
/// 2. p = K h K / N: smoothed with a Gaussian K along both axes, so that few points suffice (as in SPM).
///
/// h is piecewise linear in the moving intensities, so the gradient is exact: with D = K (dNMI/dp) K / N, a point with
/// fixed bin a and moving intensity m between the bins b and b + 1 adds (D[a, b + 1] - D[a, b]) dm.
struct Similarity: Sendable {
    let samples: SamplePoints
    let moving: SmoothedVolume
    let bins: Int
    /// Standard deviation of K, in bins.
    let smoothing: Double

    /// A pose with less of the points in the moving volume's field of view is not considered.
    let minimumOverlap: Double

    /// Points whose sums are made by one worker. It does not depend on the number of threads, and nor do the sums.
    private static let chunk = 1 << 14

    private var chunks: Int { (samples.points.count + Self.chunk - 1) / Self.chunk }

    /// The value at a pose.
    struct Value {
        /// 1 to 2; 0 if there is too little overlap.
        let similarity: Double
        /// The fraction of points in the moving volume's field of view.
        let overlap: Double
    }

    /// Memory for the evaluation of one pose at a time.
    final class Workspace {
        /// For each point the gradient of the moving intensity (x, y, z) and the intensity (w), which is below 0 outside.
        fileprivate var interpolated: [SIMD4<Float>]
        fileprivate var histograms: [Float]
        fileprivate var joint: JointHistogram

        init(for similarity: Similarity) {
            let (count, bins) = (similarity.samples.points.count, similarity.bins)
            interpolated = [SIMD4<Float>](repeating: .zero, count: count)
            histograms = [Float](repeating: 0, count: similarity.chunks * bins * bins)
            joint = JointHistogram(bins: bins, smoothing: similarity.smoothing)
        }
    }

    /// The similarity when a map takes positions of the fixed volume to those of the moving volume. O(points + bins^2).
    func evaluate(_ pose: RigidTransform, in workspace: Workspace, threads: Int) -> Value {
        let map = moving.grid.inverseAffine.after(pose.affine)
        let (cx, cy, cz) = (lanes(map.columns.x), lanes(map.columns.y), lanes(map.columns.z))
        let origin = lanes(map(samples.centre))
        let (bins, count) = (bins, samples.points.count)
        workspace.interpolated.withUnsafeMutableBufferPointer { interpolated in
            workspace.histograms.withUnsafeMutableBufferPointer { histograms in
                samples.points.withUnsafeBufferPointer { points in
                    moving.voxels.withUnsafeBufferPointer { voxels in
                        nonisolated(unsafe) let interpolate = Interpolator(voxels, shape: moving.grid.shape)
                        nonisolated(unsafe) let interpolated = interpolated.baseAddress!
                        nonisolated(unsafe) let histograms = histograms.baseAddress!
                        nonisolated(unsafe) let points = points.baseAddress!
                        concurrentForEach(chunks, threads: threads) { chunk in
                            let histogram = histograms + chunk * bins * bins
                            histogram.update(repeating: 0, count: bins * bins)
                            for index in chunk * Self.chunk..<min(count, (chunk + 1) * Self.chunk) {
                                let point = points[index]
                                let position = cx * point.x + cy * point.y + cz * point.z + origin
                                guard let sample = interpolate(position) else {
                                    interpolated[index] = SIMD4(0, 0, 0, -1)
                                    continue
                                }
                                interpolated[index] = sample
                                let (place, fraction) = Self.place(point.w, sample.w, bins)
                                histogram[place] += 1 - fraction
                                histogram[place + 1] += fraction
                            }
                        }
                    }
                }
            }
        }
        // In the order of the chunks, whichever thread made them.
        let total = workspace.joint.set(sumOf: workspace.histograms, chunks: chunks)
        let overlap = total / Double(max(1, count))
        guard overlap >= minimumOverlap, total > 0 else { return Value(similarity: 0, overlap: overlap) }
        return Value(similarity: workspace.joint.normalisedMutualInformation, overlap: overlap)
    }

    /// The derivatives of the similarity at the pose that was evaluated last: for a translation along x, y and z in
    /// millimetres, and a rotation about x, y and z through the image of the points' centre, in radians times ``SamplePoints/radius``.
    func gradient(at pose: RigidTransform, in workspace: Workspace, threads: Int) -> [Double] {
        let slopes = workspace.joint.slopes
        let (bins, count) = (bins, samples.points.count)
        // For each chunk the sums of slope x gradient x (point, 1).
        var sums = [SIMD4<Double>](repeating: .zero, count: 3 * chunks)
        sums.withUnsafeMutableBufferPointer { sums in
            workspace.interpolated.withUnsafeBufferPointer { interpolated in
                samples.points.withUnsafeBufferPointer { points in
                    slopes.withUnsafeBufferPointer { slopes in
                        nonisolated(unsafe) let sums = sums.baseAddress!
                        nonisolated(unsafe) let interpolated = interpolated.baseAddress!
                        nonisolated(unsafe) let points = points.baseAddress!
                        nonisolated(unsafe) let slopes = slopes.baseAddress!
                        concurrentForEach(chunks, threads: threads) { chunk in
                            let end = min(count, (chunk + 1) * Self.chunk)
                            // Short sums in single precision, long ones in double.
                            for start in stride(from: chunk * Self.chunk, to: end, by: 256) {
                                var (x, y, z) = (SIMD4<Float>.zero, SIMD4<Float>.zero, SIMD4<Float>.zero)
                                for index in start..<min(start + 256, end) {
                                    let sample = interpolated[index]
                                    guard sample.w >= 0 else { continue }
                                    var point = points[index]
                                    let (place, _) = Self.place(point.w, sample.w, bins)
                                    point.w = 1
                                    let force = sample * slopes[place]
                                    x += point * force.x
                                    y += point * force.y
                                    z += point * force.z
                                }
                                sums[3 * chunk] += SIMD4<Double>(x)
                                sums[3 * chunk + 1] += SIMD4<Double>(y)
                                sums[3 * chunk + 2] += SIMD4<Double>(z)
                            }
                        }
                    }
                }
            }
        }
        var rows = [SIMD4<Double>](repeating: .zero, count: 3)
        for index in sums.indices { rows[index % 3] += sums[index] }
        // From voxels to millimetres: the transposed inverse of the moving volume's affine.
        let toVoxel = moving.grid.inverseAffine.rows
        var force = SIMD3<Double>.zero
        // moments[i][j] is the sum of force i times coordinate j of the point, turned as the pose turns it.
        var moments = [SIMD3<Double>](repeating: .zero, count: 3)
        for axis in 0..<3 {
            var row = SIMD4<Double>.zero
            for voxelAxis in 0..<3 { row += rows[voxelAxis] * toVoxel[voxelAxis][axis] }
            force[axis] = row.w
            moments[axis] = pose.rotation(SIMD3(row.x, row.y, row.z))
        }
        let torque: SIMD3<Double> = [
            moments[2].y - moments[1].z, moments[0].z - moments[2].x, moments[1].x - moments[0].y,
        ]
        let turn = torque / samples.radius
        return [force.x, force.y, force.z, turn.x, turn.y, turn.z]
    }

    /// The first of the two bins of a point, and how much of it falls into the second.
    @inline(__always)
    private static func place(_ fixed: Float, _ moving: Float, _ bins: Int) -> (Int, Float) {
        let row = Int(truncatingIfNeeded: Int32(fixed + 0.5))
        let column = min(Int(truncatingIfNeeded: Int32(moving)), bins - 2)
        return (row * bins + column, moving - Float(column))
    }
}

private func lanes(_ vector: SIMD3<Double>) -> SIMD4<Float> {
    SIMD4(Float(vector.x), Float(vector.y), Float(vector.z), 0)
}

/// A smoothed joint histogram of fixed (rows) and moving (columns) intensities.
private struct JointHistogram {
    private let bins: Int
    /// The row of K for the middle bin.
    private let kernel: [Double]
    private var total = 0.0
    private var probabilities: [Double]

    init(bins: Int, smoothing: Double) {
        self.bins = bins
        let reach = Int((3 * smoothing).rounded(.up))
        let weights = (-reach...reach).map { exp(-Double($0 * $0) / (2 * smoothing * smoothing)) }
        kernel = weights.map { $0 / weights.reduce(0, +) }
        probabilities = []
    }

    /// Sets p from the sum of histograms, and returns N.
    mutating func set(sumOf histograms: [Float], chunks: Int) -> Double {
        var sum = [Double](repeating: 0, count: bins * bins)
        for chunk in 0..<chunks {
            for index in sum.indices { sum[index] += Double(histograms[chunk * bins * bins + index]) }
        }
        total = sum.reduce(0, +)
        probabilities = smoothed(sum.map { $0 / max(total, 1) })
        return total
    }

    var normalisedMutualInformation: Double {
        let (fixed, moving, joint) = entropies
        return joint > 0 ? (fixed + moving) / joint : 1
    }

    /// D[a, b + 1] - D[a, b], at [a * bins + b].
    var slopes: [Float] {
        let (fixed, moving, joint) = entropies
        guard joint > 0 else { return [Float](repeating: 0, count: bins * bins) }
        let (rows, columns) = marginals
        var derivative = [Double](repeating: 0, count: bins * bins)
        for a in 0..<bins {
            for b in 0..<bins {
                let own = log(max(probabilities[a * bins + b], Self.least))
                let both = log(max(rows[a], Self.least)) + log(max(columns[b], Self.least))
                // Constants vanish in the difference.
                derivative[a * bins + b] =
                    (own * (fixed + moving) / joint - both) / (joint * max(total, 1))
            }
        }
        let smooth = smoothed(derivative)
        return smooth.indices.map { $0 % bins < bins - 1 ? Float(smooth[$0 + 1] - smooth[$0]) : 0 }
    }

    /// Far below one point in a million.
    private static let least = 1e-12

    private var marginals: (rows: [Double], columns: [Double]) {
        var (rows, columns) = ([Double](repeating: 0, count: bins), [Double](repeating: 0, count: bins))
        for a in 0..<bins {
            for b in 0..<bins {
                rows[a] += probabilities[a * bins + b]
                columns[b] += probabilities[a * bins + b]
            }
        }
        return (rows, columns)
    }

    private var entropies: (fixed: Double, moving: Double, joint: Double) {
        func entropy(_ values: [Double]) -> Double {
            values.reduce(0) { $1 > Self.least ? $0 - $1 * log($1) : $0 }
        }
        let (rows, columns) = marginals
        return (entropy(rows), entropy(columns), entropy(probabilities))
    }

    /// K x K. The ends are mirrored, so that K is symmetric and keeps the sum.
    private func smoothed(_ values: [Double]) -> [Double] {
        let reach = kernel.count / 2
        func mirrored(_ index: Int) -> Int {
            index < 0 ? -index - 1 : index >= bins ? 2 * bins - 1 - index : index
        }
        func alongRows(_ values: [Double]) -> [Double] {
            // The result is transposed: twice is once along each axis.
            var result = [Double](repeating: 0, count: bins * bins)
            for a in 0..<bins {
                for b in 0..<bins {
                    var sum = 0.0
                    for k in -reach...reach { sum += kernel[k + reach] * values[a * bins + mirrored(b + k)] }
                    result[b * bins + a] = sum
                }
            }
            return result
        }
        return alongRows(alongRows(values))
    }
}
