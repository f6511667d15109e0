import Preprocessing

/// Finds the brain in a T1 image, which may be skull-stripped already.
///
/// Skull and fluid are dark on T1, so that the bright parts of a head hang together by thin bridges only. They are
/// shrunk until the bridges break; the largest part that is left is grown back.
enum BrainExtraction {
    /// How far parts are shrunk, in millimetres.
    private static let shrinking: Float = 4.5

    /// The image with 0 outside the brain, and intensities above 0 inside.
    static func brain(in image: Volume) -> Volume {
        let foreground = ForegroundMask(of: image).isForeground
        let low = image.intensityRange.lowerBound
        func cut(_ isInside: [Bool]) -> Volume {
            // Above zero inside, so that the image alone tells what is brain.
            Volume(
                grid: image.grid,
                voxels: zip(image.voxels, isInside).map { $1 ? max($0 - low, .leastNormalMagnitude) : 0 })
        }
        let whole = cut(foreground)
        guard let classes = TissueClasses(of: whole.voxels.filter { $0 > 0 }) else { return whole }
        let spacing = Float(image.grid.spacing.x)
        let limit = (classes.fluid + classes.grey) / 2
        let isDark = whole.voxels.map { $0 < limit }
        let core = largestPart(
            of: distances(to: isDark, shape: image.shape).map { $0 * spacing > shrinking }, grid: image.grid)
        let reach = distances(to: core, shape: image.shape)
        let brain = zip(reach, foreground).map { $0 * spacing < shrinking + 2 && $1 }
        // What is skull-stripped already is brain for the most part, and stays whole.
        let share = Double(brain.count { $0 }) / Double(max(foreground.count { $0 }, 1))
        return share > 0.7 ? whole : cut(brain)
    }

    /// The largest part of a set of voxels whose members touch by their faces.
    private static func largestPart(of isMember: [Bool], grid: VoxelGrid) -> [Bool] {
        var part = [Int32](repeating: 0, count: grid.count)
        var (parts, largest): (Int32, (part: Int32, size: Int)) = (0, (0, 0))
        let (row, slice) = (grid.shape.x, grid.shape.x * grid.shape.y)
        for seed in isMember.indices where isMember[seed] && part[seed] == 0 {
            parts += 1
            var front = [seed]
            part[seed] = parts
            var size = 0
            while let voxel = front.popLast() {
                size += 1
                for step in [-1, 1, -row, row, -slice, slice] {
                    let next = voxel + step
                    guard isMember.indices.contains(next), isMember[next], part[next] == 0 else { continue }
                    part[next] = parts
                    front.append(next)
                }
            }
            if size > largest.size { largest = (parts, size) }
        }
        return part.map { $0 == largest.part && $0 > 0 }
    }
}
