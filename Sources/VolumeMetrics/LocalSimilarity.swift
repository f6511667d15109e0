import Volumes

/// The sum of SSIM's local values S over a volume, without ever holding a map of them.
///
/// Five quantities have to be averaged over each window: p, r, p^2, r^2 and p r. Slices are taken into five
/// planes of sums along z; rows of those into five rows of sums along y; and values of those into five sums
/// along x, from which S follows. Nothing larger than a plane is kept, and each sum is made in one order.
struct LocalSimilarity {
    let c1: Double
    let c2: Double
    /// What makes a mean of a window's sum.
    let meanWeight: Double
    /// n / (n - 1) for the covariances of a sample of n, 1 for those of a population.
    let covarianceScale: Double

    /// The sum of S over the mask's voxels whose window lies in the volume, and how many those are.
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

    /// The sum of S along one row of the volume; `count` grows by the voxels that were summed.
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
