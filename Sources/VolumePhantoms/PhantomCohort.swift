import Foundation
import Volumes

/// Synthetic subjects, each with a CT-like source, a T1-like target and a brain mask on the same grid, and with images in
/// further contrasts.
///
/// ```swift
/// let cohort = PhantomCohort(seed: 1, shape: [96, 96, 96])
/// let subject = cohort.subject(7)
/// try subject.source.write(to: "ct.nii.gz")       // with VolumeIO
/// try subject.target.write(to: "t1.nii.gz")
/// ```
///
/// A subject is a pure function of the cohort's settings and of its number: it is bit-identical in any order and on any
/// thread.
public struct PhantomCohort: Sendable, CustomStringConvertible {
    /// The seed of all random numbers.
    public var seed: UInt64

    /// The grid of every volume: along the world axes (RAS), centred at the origin.
    public let grid: VoxelGrid

    /// The head that all subjects are deformed from.
    public let anatomy: PhantomAnatomy

    /// The ranges of contrast and artefacts.
    public var acquisition: PhantomAcquisition

    /// The form of the source images.
    public var source: PhantomSource

    /// The strength of the deformations: 0 for none, 1 for the variation among healthy adults, at most 2.
    public let deformation: Double

    /// A cohort.
    ///
    /// - Parameters:
    ///   - seed: the seed of all random numbers.
    ///   - shape: number of voxels along each axis.
    ///   - spacing: distance between voxels in millimetres; by default such that the head fills the grid.
    ///   - anatomy: the head that all subjects are deformed from.
    ///   - acquisition: the ranges of contrast and artefacts.
    ///   - source: the form of the source images.
    ///   - deformation: the strength of the deformations, 0 to 2.
    public init(
        seed: UInt64 = 0, shape: SIMD3<Int> = [96, 96, 96], spacing: Double? = nil,
        anatomy: PhantomAnatomy = .analytic, acquisition: PhantomAcquisition = PhantomAcquisition(),
        source: PhantomSource = .window, deformation: Double = 1
    ) {
        precondition(spacing.map { $0 > 0 && $0.isFinite } ?? true, "the spacing must be above zero")
        precondition((0...2).contains(deformation), "the deformation must be from 0 to 2")
        let filling = (anatomy.extent / SIMD3<Double>(shape)).max()
        let affine = Affine(spacing: SIMD3(repeating: spacing ?? filling))
        let middle: SIMD3<Double> = affine(SIMD3<Double>(shape &- 1) / 2)
        grid = VoxelGrid(
            shape: shape, affine: Affine(spacing: affine.spacing, translation: -middle))
        (self.seed, self.anatomy, self.acquisition) = (seed, anatomy, acquisition)
        (self.source, self.deformation) = (source, deformation)
    }

    /// The seed and the grid.
    public var description: String { "phantom cohort with seed \(seed), \(grid)" }

    /// A subject, by its number from 0 to 2^32 - 1.
    ///
    /// - Complexity: O(n) in the voxels of the grid; less than a second for 96 x 96 x 96 on one core.
    public func subject(_ number: Int) -> PhantomSubject {
        let (style, scan) = scan(of: number)
        return PhantomSubject(
            number: number, style: style, source: scan.image(.ct, source: source),
            target: scan.image(.t1, source: source), mask: scan.mask)
    }

    /// Images of a subject in several contrasts, all of the same tissues.
    ///
    /// CT and T1 are the source and the target of ``subject(_:)``. The others are skull-stripped with the same mask, and
    /// each has its own bias field, slice gains and noise.
    ///
    /// - Parameters:
    ///   - number: that of the subject, from 0 to 2^32 - 1.
    ///   - contrasts: those to image.
    /// - Complexity: O(n) in the voxels of the grid and in the contrasts.
    public func images(of number: Int, in contrasts: some Sequence<PhantomContrast>) -> PhantomImages {
        let (style, scan) = scan(of: number)
        let volumes = Set(contrasts).map { ($0, scan.image($0, source: source)) }
        return PhantomImages(
            number: number, style: style, volumes: Dictionary(uniqueKeysWithValues: volumes), mask: scan.mask)
    }

    private func scan(of number: Int) -> (PhantomStyle, PhantomScan) {
        precondition(UInt32(exactly: number) != nil, "a subject's number must be from 0 to 2^32 - 1")
        let random = SubjectRandom(seed: seed, subject: number)
        let style = PhantomStyle(random, from: acquisition)
        var tissues = tissues(of: number, random)
        addLesions(to: &tissues, random)
        return (
            style,
            PhantomScan(tissues, on: grid, style: style, acquisition: acquisition, random: random)
        )
    }

    /// The map from the world of a subject to that of the anatomy, both in millimetres relative to their centres.
    package func deformation(ofSubject number: Int) -> Deformation {
        Deformation(SubjectRandom(seed: seed, subject: number), strength: deformation)
    }
}

/// A subject of a cohort.
public struct PhantomSubject: Sendable, CustomStringConvertible {
    /// The number in the cohort.
    public let number: Int
    /// The contrast and the artefacts.
    public let style: PhantomStyle
    /// The CT-like source, in HU.
    public let source: Volume
    /// The T1-like target, skull-stripped: 0 outside the mask.
    public let target: Volume
    /// The brain mask: 1 in the brain, including the fluid in sulci and ventricles, and 0 elsewhere.
    public let mask: Volume

    /// The number, and the grid and intensities of the source and the target, a line each. O(n).
    public var description: String { "phantom subject \(number)\n  source: \(source)\n  target: \(target)" }
}

/// Images of a subject in several contrasts, on one grid.
public struct PhantomImages: Sendable, CustomStringConvertible {
    /// The number in the cohort.
    public let number: Int
    /// The contrast and the artefacts of the CT and the T1 image.
    public let style: PhantomStyle
    /// The images.
    public let volumes: [PhantomContrast: Volume]
    /// The brain mask: 1 in the brain, including the fluid in sulci and ventricles, and 0 elsewhere.
    public let mask: Volume

    /// The image in a contrast, if it was asked for.
    public subscript(contrast: PhantomContrast) -> Volume? { volumes[contrast] }

    /// The number, and the grid and intensities of each image, a line each. O(n).
    public var description: String {
        PhantomContrast.allCases.reduce("phantom subject \(number)") { text, contrast in
            text + (volumes[contrast].map { "\n  \(contrast.rawValue): \($0)" } ?? "")
        }
    }
}

extension PhantomCohort {
    /// The tissues of a subject at each voxel of the grid.
    private func tissues(of number: Int, _ random: SubjectRandom) -> [TissueMix] {
        let map = deformation(ofSubject: number)
        let (centre, width) = (anatomy.centre, Float(grid.spacing.x))
        switch anatomy.form {
        case .analytic:
            let head = AnalyticHead(random)
            return mixes { head.tissues(at: map($0) + centre, width: width) }
        case .segmented(let head):
            let cranium = Cranium(random)
            return mixes { head.tissues(at: map($0) + centre, width: width, cranium: cranium) }
        }
    }

    /// Turns white matter into lesions: ellipsoids with half axes of 2 to 7 mm around random voxels of white matter.
    private func addLesions(to tissues: inout [TissueMix], _ random: SubjectRandom) {
        precondition(acquisition.lesions.lowerBound >= 0, "the number of lesions must not be negative")
        let range = acquisition.lesions
        let count = range.lowerBound + Int(random.uniform(.lesions, 0) * Double(range.count))
        guard count > 0 else { return }
        let places = tissues.indices.filter { tissues[$0].white > 0.95 && tissues[$0].brain > 0.95 }
        guard !places.isEmpty else { return }
        func world(_ index: Int) -> SIMD3<Float> {
            let (x, rest) = (index % grid.shape.x, index / grid.shape.x)
            return SIMD3<Float>(
                grid.world(
                    atVoxel: [Double(x), Double(rest % grid.shape.y), Double(rest / grid.shape.y)]))
        }
        for lesion in 1...count {
            let place = places[Int(random.uniform(.lesions, 100 * lesion) * Double(places.count))]
            let radii = random.point(.lesions, 100 * lesion + 1, in: 2...7)
            let ellipsoid = Ellipsoid(world(place), radii: SIMD3<Float>(radii))
            for index in tissues.indices where tissues[index].white > 0 {
                let share = coverage(ellipsoid.depth(at: world(index)), width: Float(grid.spacing.x))
                if share > 0 { tissues[index].damage(share) }
            }
        }
    }

    @inline(__always)
    private func mixes(_ mix: (SIMD3<Float>) -> TissueMix) -> [TissueMix] {
        let (step, origin) = (Float(grid.spacing.x), SIMD3<Float>(grid.affine.translation))
        return [TissueMix](unsafeUninitializedCapacity: grid.count) { mixes, count in
            for z in 0..<grid.shape.z {
                for y in 0..<grid.shape.y {
                    for x in 0..<grid.shape.x {
                        let point = origin + step * SIMD3(Float(x), Float(y), Float(z))
                        (mixes.baseAddress! + count).initialize(to: mix(point))
                        count += 1
                    }
                }
            }
        }
    }
}

// MARK: Anatomy

/// The head that the subjects of a cohort are deformed from.
public struct PhantomAnatomy: Sendable {
    enum Form {
        case analytic
        case segmented(SegmentedHead)
    }

    let form: Form

    /// An analytic head, whose sulci, ventricles and skull vary from subject to subject.
    public static let analytic = PhantomAnatomy(form: .analytic)

    private init(form: Form) { self.form = form }

    /// A head with the fluid, grey and white matter of a real brain, and an analytic skull and scalp.
    ///
    /// - Parameter t1: a T1 image, preferably skull-stripped; otherwise the brain is extracted approximately.
    /// - Throws: ``PhantomError/noBrain``; `PreprocessingError.tooManyVoxels` if an isotropic grid of the image's smallest
    ///   spacing would have more than 2^28 voxels.
    /// - Complexity: O(n) in the voxels of the image; seconds for a brain at 1 mm.
    public init(t1: Volume) throws { form = .segmented(try SegmentedHead(t1: t1)) }

    /// The size of a box that contains the head of most subjects, in millimetres; of the analytic head, from the vertex to
    /// the upper jaw.
    public var extent: SIMD3<Double> {
        switch form {
        case .analytic: [196, 240, 238]
        case .segmented(let head): head.extent
        }
    }

    /// The point of the anatomy at the centre of the grid, in millimetres.
    var centre: SIMD3<Float> {
        switch form {
        case .analytic: [0, -11, -8]
        case .segmented(let head): SIMD3<Float>(head.centre)
        }
    }
}

/// Why a cohort could not be made.
public enum PhantomError: Error, Hashable, CustomStringConvertible, LocalizedError {
    /// No brain was found in the image of the anatomy.
    case noBrain

    /// What was found and what was expected.
    public var description: String {
        switch self {
        case .noBrain:
            "found no brain in the volume; expected a T1 image of a head or, better, of a skull-stripped brain"
        }
    }
    /// The same as `description`.
    public var errorDescription: String? { description }
}
