import Volumes

/// The sum of the local values S of SSIM over a volume, without a map of them.
///
/// Five quantities are averaged over each window: p, r, p^2, r^2 and p r. They are summed along z into five planes, along
/// y into five rows, and along x into five numbers, from which S follows. Memory is five planes and five rows; the order
/// of summation is fixed.
struct LocalSimilarity {
    let c1: Double
    let c2: Double
    /// The factor from the sum over a window to the mean.
    let meanWeight: Double
    /// n / (n - 1) for the covariances of a sample of n, 1 for those of a population.
    let covarianceScale: Double

    /// The sum of S over the voxels in the mask whose window is within the volume, and their number.
    func sum(
        _ prediction: Volume, _ reference: Volume, mask: Volume?, filters: [AxisFilter]
    ) -> (total: Double, count: Int) {
        let (width, height) = (reference.shape.x, reference.shape.y)
        let plane = width * height
        let centre = SIMD3(filters[0].width / 2, filters[1].width / 2, filters[2].width / 2)
        var (total, count) = (0.0, 0)

        prediction.voxels.withUnsafeBufferPointer { p in
            reference.voxels.withUnsafeBufferPointer { r in
                withUnsafeTemporaryAllocation(of: Double.self, capacity: 5 * (plane + width)) { buffer in
                    let planes = buffer.baseAddress!
                    let rows = planes + 5 * plane
                    for z in 0...reference.shape.z - filters[2].width {
                        filters[2].advance(to: z) {
                            planes.update(repeating: 0, count: 5 * plane)
                        } add: { slice, weight in
                            addProducts(
                                p.baseAddress! + slice * plane, r.baseAddress! + slice * plane,
                                times: weight, to: planes, count: plane)
                        }
                        var sliceTotal = 0.0
                        for y in 0...height - filters[1].width {
                            filters[1].advance(to: y) {
                                rows.update(repeating: 0, count: 5 * width)
                            } add: { row, weight in
                                for quantity in 0..<5 {
                                    add(
                                        planes + quantity * plane + row * width, times: weight,
                                        to: rows + quantity * width, count: width)
                                }
                            }
                            let maskRow = mask.map {
                                let start = $0.grid.offset(centre.x, y + centre.y, z + centre.z)
                                return $0.voxels[start..<start + width - 2 * centre.x]
                            }
                            sliceTotal += rowSum(
                                rows, width: width, filter: filters[0], mask: maskRow, count: &count)
                        }
                        total += sliceTotal
                    }
                }
            }
        }
        return (total, count)
    }

    /// The sum of S along one row of the volume; adds the number of voxels to `count`.
    private func rowSum(
        _ rows: UnsafeMutablePointer<Double>, width: Int, filter: AxisFilter, mask: ArraySlice<Float>?,
        count: inout Int
    ) -> Double {
        var (p, r, pp, rr, pr) = (0.0, 0.0, 0.0, 0.0, 0.0)
        var total = 0.0
        for x in 0...width - filter.width {
            filter.advance(to: x) {
                (p, r, pp, rr, pr) = (0, 0, 0, 0, 0)
            } add: { input, weight in
                p += weight * rows[input]
                r += weight * rows[width + input]
                pp += weight * rows[2 * width + input]
                rr += weight * rows[3 * width + input]
                pr += weight * rows[4 * width + input]
            }
            if let mask, !(mask[mask.startIndex + x] > 0) { continue }
            total += similarity(
                p * meanWeight, r * meanWeight, pp * meanWeight, rr * meanWeight, pr * meanWeight)
            count += 1
        }
        return total
    }

    /// S from the means of p, r, p^2, r^2 and p r over a window.
    private func similarity(_ p: Double, _ r: Double, _ pp: Double, _ rr: Double, _ pr: Double) -> Double {
        let variances = covarianceScale * (pp - p * p + rr - r * r)
        let covariance = covarianceScale * (pr - p * r)
        return (2 * p * r + c1) * (2 * covariance + c2) / ((p * p + r * r + c1) * (variances + c2))
    }
}

/// Adds p, r, p^2, r^2 and p r of `count` voxels, times a weight, to five planes of `count` sums.
private func addProducts(
    _ prediction: UnsafePointer<Float>, _ reference: UnsafePointer<Float>, times weight: Double,
    to planes: UnsafeMutablePointer<Double>, count: Int
) {
    for index in 0..<count {
        let (p, r) = (Double(prediction[index]), Double(reference[index]))
        let (weightedP, weightedR) = (weight * p, weight * r)
        planes[index] += weightedP
        planes[count + index] += weightedR
        planes[2 * count + index] += weightedP * p
        planes[3 * count + index] += weightedR * r
        planes[4 * count + index] += weightedP * r
    }
}

/// Adds `count` values, times a weight, to as many sums.
private func add(
    _ values: UnsafePointer<Double>, times weight: Double, to sums: UnsafeMutablePointer<Double>, count: Int
) {
    for index in 0..<count { sums[index] += weight * values[index] }
}

/// A weighted sum over neighbours along one axis, updated as the position advances.
enum AxisFilter {
    /// The sum of the neighbours: adds the one that enters and subtracts the one that leaves. O(1) in the width.
    case runningSum(width: Int)
    /// The sum of each neighbour times its weight. O(width).
    case weighted([Double])

    /// The value at the position.
    static let identity = weighted([1])

    /// Number of neighbours.
    var width: Int {
        switch self {
        case .runningSum(let width): width
        case .weighted(let weights): weights.count
        }
    }

    /// The sum of the weights.
    var totalWeight: Double {
        switch self {
        case .runningSum(let width): Double(width)
        case .weighted(let weights): weights.reduce(0, +)
        }
    }

    /// Advances the sum from position - 1 to `position`: to inputs `position ..< position + width`.
    ///
    /// - Parameters:
    ///   - restart: sets the sum to zero.
    ///   - add: adds an input, times a weight, to the sum.
    @inline(__always)
    func advance(to position: Int, restart: () -> Void, add: (_ input: Int, _ weight: Double) -> Void) {
        switch self {
        case .runningSum(let width) where position > 0:
            add(position + width - 1, 1)
            add(position - 1, -1)
        case .runningSum(let width):
            restart()
            for input in 0..<width { add(input, 1) }
        case .weighted(let weights):
            restart()
            for (offset, weight) in weights.enumerated() { add(position + offset, weight) }
        }
    }
}
