import Preprocessing

/// Extracts the brain from a T1 image, which may be skull-stripped already.
///
/// Skull and fluid are dark on T1, so that the bright parts of a head are connected by thin bridges only. Erosion removes
/// the bridges; the largest connected component is dilated again.
enum BrainExtraction {
    /// The radius of the erosion in millimetres.
    private static let erosion: Float = 4.5

    /// The image, with 0 outside the brain and intensities above 0 inside. O(n).
    static func brain(in image: Volume) -> Volume {
        let foreground = ForegroundMask(of: image).isForeground
        let low = image.intensityRange.lowerBound
        func cut(_ isInside: [Bool]) -> Volume {
            // Above zero inside, so that the image is also the mask.
            Volume(
                grid: image.grid,
                voxels: zip(image.voxels, isInside).map { $1 ? max($0 - low, .leastNormalMagnitude) : 0 })
        }
        let whole = cut(foreground)
        guard let classes = TissueClasses(of: whole.voxels.filter { $0 > 0 }) else { return whole }
        let spacing = Float(image.grid.spacing.x)
        let limit = (classes.fluid + classes.grey) / 2
        let isDark = whole.voxels.map { $0 < limit }
        let core = largestComponent(
            of: distanceMap(to: isDark, shape: image.shape).map { $0 * spacing > erosion }, grid: image.grid)
        let distances = distanceMap(to: core, shape: image.shape)
        let brain = zip(distances, foreground).map { $0 * spacing < erosion + 2 && $1 }
        // An image that is skull-stripped already is mostly brain, and is not changed.
        let fraction = Double(brain.count { $0 }) / Double(max(foreground.count { $0 }, 1))
        return fraction > 0.7 ? whole : cut(brain)
    }

    /// The largest connected component of a set of voxels (6-connectivity).
    private static func largestComponent(of isMember: [Bool], grid: VoxelGrid) -> [Bool] {
        var component = [Int32](repeating: 0, count: grid.count)
        var (components, largest): (Int32, (component: Int32, size: Int)) = (0, (0, 0))
        let (row, slice) = (grid.shape.x, grid.shape.x * grid.shape.y)
        for seed in isMember.indices where isMember[seed] && component[seed] == 0 {
            components += 1
            var front = [seed]
            component[seed] = components
            var size = 0
            while let voxel = front.popLast() {
                size += 1
                for step in [-1, 1, -row, row, -slice, slice] {
                    let next = voxel + step
                    guard isMember.indices.contains(next), isMember[next], component[next] == 0 else {
                        continue
                    }
                    component[next] = components
                    front.append(next)
                }
            }
            if size > largest.size { largest = (components, size) }
        }
        return component.map { $0 == largest.component && $0 > 0 }
    }
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
