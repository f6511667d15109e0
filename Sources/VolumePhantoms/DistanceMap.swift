import Volumes

/// The distance of each voxel from a set of voxels, in voxels, exact between the voxels' centres.
///
/// Felzenszwalb and Huttenlocher: *Distance Transforms of Sampled Functions*, Theory of Computing 2012: the lower
/// envelope of parabolas along each axis in turn. O(n).
///
/// - Returns: infinity everywhere where the set is empty.
package func distances(to isMember: [Bool], shape: SIMD3<Int>) -> [Float] {
    var squares = isMember.map { $0 ? Float(0) : .infinity }
    let longest = shape.max()
    var line = [Float](repeating: 0, count: longest)
    var sites = [Int](repeating: 0, count: longest)
    var bounds = [Float](repeating: 0, count: longest)
    let strides = SIMD3(1, shape.x, shape.x * shape.y)
    for axis in 0..<3 {
        let (first, second) = ((axis + 1) % 3, (axis + 2) % 3)
        for b in 0..<shape[second] {
            for a in 0..<shape[first] {
                let start = a * strides[first] + b * strides[second]
                for i in 0..<shape[axis] { line[i] = squares[start + i * strides[axis]] }
                guard let last = envelope(of: line, count: shape[axis], sites: &sites, bounds: &bounds) else {
                    continue
                }
                var site = 0
                for i in 0..<shape[axis] {
                    while site < last, bounds[site + 1] < Float(i) { site += 1 }
                    let step = Float(i - sites[site])
                    squares[start + i * strides[axis]] = step * step + line[sites[site]]
                }
            }
        }
    }
    return squares.map { $0.squareRoot() }
}

/// The lower envelope of the parabolas on a line, one at each finite value: where they stand, and from where on
/// each is the lowest.
///
/// - Returns: the place of the last in the list, or `nil` where there is none.
private func envelope(
    of line: [Float], count: Int, sites: inout [Int], bounds: inout [Float]
) -> Int? {
    var last = -1
    for i in 0..<count where line[i] < .infinity {
        var meeting = -Float.infinity
        while last >= 0 {
            let rival = sites[last]
            meeting = (line[i] - line[rival] + Float(i * i - rival * rival)) / Float(2 * (i - rival))
            if meeting > bounds[last] { break }
            last -= 1
            meeting = -.infinity
        }
        last += 1
        (sites[last], bounds[last]) = (i, meeting)
    }
    return last >= 0 ? last : nil
}
