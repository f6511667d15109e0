import Volumes

/// The head that a cohort's subjects are made from.
public struct PhantomAnatomy: Sendable {
    enum Form {
        case analytic
        case segmented(SegmentedHead)
    }

    let form: Form

    /// A head by formulas, whose furrows, ventricles and skull differ from subject to subject.
    public static let analytic = PhantomAnatomy(form: .analytic)

    private init(form: Form) { self.form = form }

    /// The head of a real brain: fluid, grey and white matter where a T1 image has them, and a skull and a scalp
    /// about it, which the phantom adds.
    ///
    /// - Parameter t1: a T1 image in RAS+ millimetres. Best skull-stripped; of a whole head the brain is cut out
    ///   first, roughly.
    /// - Throws: ``PhantomError/noBrain``, or `PreprocessingError.tooManyVoxels` where the image's voxels are so
    ///   uneven that an isotropic grid for it would have more than 2^28.
    /// - Complexity: O(n) in the image's voxels; seconds for a brain at 1 mm.
    public init(t1: Volume) throws { form = .segmented(try SegmentedHead(t1: t1)) }

    /// The size of a box that holds the head of most subjects, in millimetres: from the vertex to the upper jaw of
    /// the analytic one.
    public var extent: SIMD3<Double> {
        switch form {
        case .analytic: [196, 240, 238]
        case .segmented(let head): head.extent
        }
    }

    /// The point of the anatomy that comes to the middle of the subjects' grid, in the anatomy's millimetres.
    var centre: SIMD3<Float> {
        switch form {
        case .analytic: [0, -11, -8]
        case .segmented(let head): SIMD3<Float>(head.centre)
        }
    }
}
