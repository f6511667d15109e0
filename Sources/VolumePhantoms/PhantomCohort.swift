import Volumes

/// Made-up subjects, each with a CT-like source, a T1-like target and a mask of the brain, on one grid.
///
/// ```swift
/// let cohort = PhantomCohort(seed: 1, shape: [96, 96, 96])
/// let subject = cohort.subject(7)
/// try subject.source.write(to: "ct.nii.gz")       // with VolumeIO
/// try subject.target.write(to: "t1.nii.gz")
/// ```
///
/// A subject is a function of the cohort's settings and its own number: it is the same to the bit whether one
/// subject is made or a thousand, in any order, on any thread.
public struct PhantomCohort: Sendable {
    /// Which of 2^64 cohorts.
    public var seed: UInt64

    /// The grid of every volume: along the world's axes (RAS), its middle at the origin.
    public let grid: VoxelGrid

    /// The head that subjects are made from.
    public let anatomy: PhantomAnatomy

    /// How subjects are imaged.
    public var acquisition: PhantomAcquisition

    /// What the sources show of the head.
    public var source: PhantomSource

    /// How different the subjects' heads are: 0 for all in one shape, 1 for those of healthy adults. At most 2, up
    /// to which deformations are one to one.
    public let deformation: Double

    /// A cohort.
    ///
    /// - Parameters:
    ///   - seed: what all randomness follows from.
    ///   - shape: number of voxels along each axis.
    ///   - spacing: distance between voxels in millimetres; by default such that the head fills the grid.
    ///   - anatomy: the head that all subjects' are deformed from.
    ///   - acquisition: what varies from image to image.
    ///   - source: what the CT shows.
    ///   - deformation: how different the subjects' heads are, 0 to 2.
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

    /// A subject, by its number from 0 to 2^32 - 1.
    ///
    /// - Complexity: O(n) in the grid's voxels: well under a second for 96 x 96 x 96 on one core.
    public func subject(_ number: Int) -> PhantomSubject {
        precondition(UInt32(exactly: number) != nil, "a subject's number must be from 0 to 2^32 - 1")
        let random = SubjectRandom(seed: seed, subject: number)
        let style = PhantomStyle(random, from: acquisition)
        let scan = PhantomScan(tissues(of: number, random), on: grid, style: style, random: random)
        return PhantomSubject(
            number: number, style: style, source: scan.source(source), target: scan.target, mask: scan.mask)
    }

    /// From the world of a subject's volumes to the anatomy's, both in millimetres about their middles.
    package func deformation(ofSubject number: Int) -> Deformation {
        Deformation(SubjectRandom(seed: seed, subject: number), strength: deformation)
    }
}

/// One subject of a cohort.
public struct PhantomSubject: Sendable {
    /// Its number in the cohort.
    public let number: Int
    /// How it was imaged.
    public let style: PhantomStyle
    /// The CT-like source.
    public let source: Volume
    /// The T1-like target, skull-stripped: 0 outside the mask.
    public let target: Volume
    /// 1 in the brain, with the fluid in its furrows and ventricles, and 0 elsewhere.
    public let mask: Volume
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
