import Foundation
import Volumes
import VoxelSupport

extension ForegroundMask {
    /// The brain in a CT of a head, without a network.
    ///
    /// The brain is the largest body of soft tissue that bone parts from the rest: numbers from -5 to 90 HU after
    /// smoothing, opened by a ball of 12 mm, which cuts off what leaves the skull through its openings, closed by one of
    /// 5 mm, with its holes filled. The steps are in the manner of Muschelli et al., *Validated automatic brain extraction of
    /// head CT images*, NeuroImage 2015, with an opening in place of BET. Fluid in ventricles and sulci belongs to it.
    ///
    /// It needs a closed skull. It fails where a large part of the skull is missing (after a craniectomy, or cut off by
    /// the field of view), on infants, and where metal makes streaks; a haemorrhage above 90 HU or a calcification at the
    /// brain's edge is left out. Look at the mask.
    ///
    /// - Parameter ct: a CT in Hounsfield units, of a head with its skull, or in the units that
    ///   ``CTNumbers/init(_:)`` recognises.
    /// - Throws: ``PreprocessingError/noBrain(_:)`` if nothing is found that may be a brain: less than 0.2 or more than 3
    ///   litres.
    /// - Complexity: O(n); it works on a grid of 2 mm.
    public static func brain(inCT ct: Volume) throws -> ForegroundMask {
        let numbers = try CTNumbers(ct).volume
        // Bone and air must not reach far into what is smoothed.
        let clipped = numbers.map { $0.isFinite ? min(max($0, -200), 400) : -200 }
        let smooth = clipped.smoothed(1.25)
        let step = try Resample(spacing: 2).apply(to: smooth)
        let (grid, spacing) = (step.volume.grid, Float(2))
        let isSoft = step.volume.voxels.map { (-5...90).contains($0) }
        let depth = distanceMap(to: isSoft.map { !$0 }, shape: grid.shape)
        let core = largestPart(of: depth.map { $0 * spacing > 12 && $0 < .infinity }, grid: grid)
        let opened = zip(distanceMap(to: core, shape: grid.shape), isSoft).map { $0 * spacing <= 12 && $1 }
        let brain = ForegroundMask(isForeground: closed(opened, grid: grid, by: 5 / spacing)).fillingHoles(
            on: grid
        )
        .largestComponent(on: grid)
        let litres = Double(brain.isForeground.count { $0 }) * 8e-6
        guard (0.2...3).contains(litres) else {
            throw PreprocessingError.noBrain(
                litres == 0 ? "no soft tissue" : String(format: "%.2f litres of soft tissue", litres))
        }
        guard case .geometry(let restore) = step.inverse else {
            preconditionFailure("resampling changes the grid")
        }
        return ForegroundMask(above: 0.5, in: restore(brain.volume(on: grid)))
    }

    /// A set closed by a ball, whose radius is in voxels: voxels at most that far from a member, whose surroundings are,
    /// too. The set must not be taken to continue beyond the grid.
    private static func closed(_ isMember: [Bool], grid: VoxelGrid, by radius: Float) -> [Bool] {
        let isNear = distanceMap(to: isMember, shape: grid.shape).map { $0 <= radius }
        let inwards = distanceMap(to: isNear.map { !$0 }, shape: grid.shape)
        return zip(isMember, inwards).map { $0 || $1 > radius && $1 < .infinity }
    }
}

/// The numbers of a CT in Hounsfield units, whatever its file has.
public struct CTNumbers: Sendable {
    /// The CT in Hounsfield units.
    public let volume: Volume

    /// What the numbers were, if not Hounsfield units, as a sentence for a warning.
    public let conversion: String?

    /// Recognises the units of a CT.
    ///
    /// - Hounsfield units: air on the faces of the volume, at about -1000.
    /// - The units of Rorden's Clinical Toolbox: air near 0 and soft tissue near 2600. From -100 to 100 HU, 11 of
    ///   them are one HU.
    /// - Anything else with air as its least: linear from air, at -1000, to the most frequent tissue, taken to be at 35. The
    ///   offset of 1024 of unsigned files is such.
    ///
    /// - Throws: ``PreprocessingError/noBrain(_:)`` if there is neither air nor tissue.
    public init(_ ct: Volume) throws {
        if Background.isHounsfield(ct) {
            (volume, conversion) = (ct, nil)
            return
        }
        let foreground = ForegroundMask(of: ct)
        let inside = zip(ct.voxels, foreground.isForeground).compactMap { $1 ? $0 : nil }
        let outside = zip(ct.voxels, foreground.isForeground).compactMap { $1 ? nil : $0 }
        guard let air = OrderStatistics(outside).quantile(0.5), let tissue = Self.mode(of: inside, above: air)
        else {
            throw PreprocessingError.noBrain("no air around it")
        }
        if abs(air) < 200, (2300...2900).contains(tissue) {
            volume = ct.map(Self.hounsfield(fromClinical:))
            conversion =
                "its numbers are taken as units of the Clinical Toolbox (air at 0, brain at 2600), not HU"
        } else {
            let factor = Float(1035 / (tissue - air))
            volume = ct.map { ($0 - Float(air)) * factor - 1000 }
            conversion =
                "its numbers are not HU: \(air.shortText) is taken as air, and \(tissue.shortText) as tissue"
        }
    }

    /// The inverse of the transformation of Rorden et al., *Age-specific CT and MRI templates for spatial
    /// normalization*, NeuroImage 2012, which stretches the numbers of tissue.
    private static func hounsfield(fromClinical number: Float) -> Float {
        number < 900 ? number - 1000 : number < 3100 ? (number - 900) / 11 - 100 : number - 3000
    }

    /// The most frequent intensity of tissue: the mode of the upper three quarters of the range.
    private static func mode(of intensities: [Float], above air: Double) -> Double? {
        let statistics = OrderStatistics(intensities)
        guard let top = statistics.quantile(0.999), top > air else { return nil }
        let (low, bins) = (air + (top - air) / 4, 96)
        var counts = [Int](repeating: 0, count: bins)
        for value in statistics.finite where Double(value) > low && Double(value) < top {
            counts[min(Int((Double(value) - low) / (top - low) * Double(bins)), bins - 1)] += 1
        }
        let fullest = counts.indices.max { counts[$0] < counts[$1] }!
        return low + (Double(fullest) + 0.5) / Double(bins) * (top - low)
    }
}
