import Foundation
import Volumes

// Sets of voxels, as masks: connected parts, distances, smoothing. Connectivity is through faces, six neighbours a voxel.

extension VoxelGrid {
    /// Visits the voxels on the faces of the grid, each at least once.
    @inline(__always)
    func forEachFaceVoxel(_ body: (Int) -> Void) {
        for z in 0..<shape.z {
            for y in 0..<shape.y {
                let row = offset(0, y, z)
                if z == 0 || z == shape.z - 1 || y == 0 || y == shape.y - 1 {
                    for x in 0..<shape.x { body(row + x) }
                } else {
                    body(row)
                    body(row + shape.x - 1)
                }
            }
        }
    }

    /// Visits the neighbours of a voxel.
    @inline(__always)
    fileprivate func forEachNeighbour(of index: Int, _ body: (Int) -> Void) {
        let (row, slice) = (shape.x, shape.x * shape.y)
        let (x, y, z) = (index % row, index / row % shape.y, index / slice)
        if x > 0 { body(index - 1) }
        if x < shape.x - 1 { body(index + 1) }
        if y > 0 { body(index - row) }
        if y < shape.y - 1 { body(index + row) }
        if z > 0 { body(index - slice) }
        if z < shape.z - 1 { body(index + slice) }
    }
}

/// Whether each voxel is a member that is connected to a face of the grid through members. O(n).
func connectedToFaces(_ grid: VoxelGrid, isMember: (Int) -> Bool) -> [Bool] {
    let (row, slice) = (grid.shape.x, grid.shape.x * grid.shape.y)
    let (none, member, connected) = (UInt8(0), UInt8(1), UInt8(2))
    var states = [UInt8](unsafeUninitializedCapacity: grid.count) { states, count in
        for index in 0..<grid.count { states[index] = isMember(index) ? member : none }
        count = grid.count
    }
    states.withUnsafeMutableBufferPointer { states in
        // Runs of connected voxels along rows, whose neighbouring rows are still to be visited.
        var front: [Range<Int>] = []
        func visit(_ index: Int) {
            guard states[index] == member else { return }
            let start = index / row * row
            var (first, end) = (index, index + 1)
            while first > start, states[first - 1] == member { first -= 1 }
            while end < start + row, states[end] == member { end += 1 }
            for place in first..<end { states[place] = connected }
            front.append(first..<end)
        }
        grid.forEachFaceVoxel(visit)
        while let run = front.popLast() {
            let (y, z) = (run.lowerBound / row % grid.shape.y, run.lowerBound / slice)
            if y > 0 { for place in run { visit(place - row) } }
            if y < grid.shape.y - 1 { for place in run { visit(place + row) } }
            if z > 0 { for place in run { visit(place - slice) } }
            if z < grid.shape.z - 1 { for place in run { visit(place + slice) } }
        }
    }
    return states.map { $0 == connected }
}

/// The largest connected part of a set; of equal ones, the first in storage. O(n).
package func largestPart(of isMember: [Bool], grid: VoxelGrid) -> [Bool] {
    var part = [Int32](repeating: 0, count: grid.count)
    var (parts, largest): (Int32, (part: Int32, size: Int)) = (0, (0, 0))
    var front: [Int] = []
    part.withUnsafeMutableBufferPointer { part in
        for seed in isMember.indices where isMember[seed] && part[seed] == 0 {
            parts += 1
            part[seed] = parts
            front.append(seed)
            var size = 0
            while let index = front.popLast() {
                size += 1
                grid.forEachNeighbour(of: index) { next in
                    guard isMember[next], part[next] == 0 else { return }
                    part[next] = parts
                    front.append(next)
                }
            }
            if size > largest.size { largest = (parts, size) }
        }
    }
    return part.map { $0 == largest.part && $0 > 0 }
}

// MARK: Distances

/// The exact Euclidean distance of each voxel from a set of voxels, in voxels; infinity if the set is empty. O(n).
///
/// Felzenszwalb and Huttenlocher: *Distance Transforms of Sampled Functions*, Theory of Computing 2012: the lower
/// envelope of parabolas along each axis in turn.
package func distanceMap(to isMember: [Bool], shape: SIMD3<Int>) -> [Float] {
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
                guard let last = lowerEnvelope(of: line, count: shape[axis], sites: &sites, bounds: &bounds)
                else {
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

/// The lower envelope of the parabolas at the finite values of a line: their positions, and where each begins to be the
/// lowest.
///
/// - Returns: the index of the last parabola, or `nil` if there is none.
private func lowerEnvelope(
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

// MARK: Smoothing

extension Volume {
    /// The volume smoothed by a Gaussian, with the edge's intensities repeated beyond the edge. O(n) for a given width.
    ///
    /// - Parameter deviation: the standard deviation in millimetres.
    func smoothed(_ deviation: Double) -> Volume {
        var smooth = voxels
        let strides = SIMD3(1, shape.x, shape.x * shape.y)
        for axis in 0..<3 {
            let width = deviation / grid.spacing[axis]
            let reach = min(Int((4 * width).rounded(.up)), shape[axis] - 1)
            guard reach > 0 else { continue }
            let weights = (-reach...reach).map { Float(Self.gaussian(Double($0) / width)) }
            let sum = weights.reduce(0, +)
            var line = [Float](repeating: 0, count: shape[axis] + 2 * reach)
            let (first, second) = ((axis + 1) % 3, (axis + 2) % 3)
            smooth.withUnsafeMutableBufferPointer { smooth in
                for b in 0..<shape[second] {
                    for a in 0..<shape[first] {
                        let start = a * strides[first] + b * strides[second]
                        for i in line.indices {
                            line[i] = smooth[start + min(max(i - reach, 0), shape[axis] - 1) * strides[axis]]
                        }
                        for i in 0..<shape[axis] {
                            var mean: Float = 0
                            for (j, weight) in weights.enumerated() { mean += weight * line[i + j] }
                            smooth[start + i * strides[axis]] = mean / sum
                        }
                    }
                }
            }
        }
        return Volume(grid: grid, voxels: smooth)
    }

    private static func gaussian(_ x: Double) -> Double { exp(-x * x / 2) }
}
