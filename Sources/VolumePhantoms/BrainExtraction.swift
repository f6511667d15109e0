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
        let foreground = ForegroundMask(of: image, background: .lowest).isForeground
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
        let core = largestPart(
            of: distanceMap(to: isDark, shape: image.shape).map { $0 * spacing > erosion }, grid: image.grid)
        let distances = distanceMap(to: core, shape: image.shape)
        let brain = zip(distances, foreground).map { $0 * spacing < erosion + 2 && $1 }
        // An image that is skull-stripped already is mostly brain, and is not changed.
        let fraction = Double(brain.count { $0 }) / Double(max(foreground.count { $0 }, 1))
        return fraction > 0.7 ? whole : cut(brain)
    }
}
