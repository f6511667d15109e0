import Foundation
public import Volumes
import VoxelSupport

/// Finds the rigid motion that aligns one volume with another, of the same or of another modality.
///
/// ```swift
/// let result = try await RigidRegistration().align(ct, to: mri)
/// print(result)                                       // the motion, the similarity, the overlap, warnings
/// let moved = ct.moved(by: result.transform)          // other positions, the same voxels
/// let resampled = ct.resampled(onto: mri.grid, by: result.transform)
/// ```
///
/// It maximises normalised mutual information (Studholme et al. 1999) from coarse to fine. At the coarsest resolution it
/// compares 54 starts: as the volumes lie, and with their centres of mass on one another, each turned by up to
/// ``searchAngle`` about each axis. It climbs from the best of them, and from the best of those at the next resolution.
///
/// The same volumes give the same bits with any number of threads.
public struct RigidRegistration: Sendable {
    /// Number of threads. The result does not depend on it.
    public var threads = ProcessInfo.processInfo.activeProcessorCount

    /// Number of points at which the volumes are compared at the finest of the three resolutions, at least 1000. There are
    /// never more than voxels. Each coarser resolution has an eighth.
    public var samples = 500_000

    /// Number of bins of the joint histogram, 8 to 256.
    public var bins = 64

    /// The rotation about each axis, in degrees, of the starts that are compared, 0 to 90. With 0, the only start is the
    /// given one.
    public var searchAngle = 25.0

    /// The fraction of the fixed volume that must lie in the moving volume's field of view, 0 to 1.
    public var minimumOverlap = 0.25

    /// A registration with settings for heads.
    public init() {}

    private static let executor = ComputeExecutor()

    /// The motion that aligns `moving` with `fixed`.
    ///
    /// It runs on its own threads, and checks between evaluations whether the task is cancelled.
    ///
    /// - Parameters:
    ///   - moving: the volume to move. Voxels that are not finite count as the lowest intensity, as in `fixed`.
    ///   - fixed: the volume that stays.
    ///   - mask: a volume on the grid of `fixed` that is above zero where volumes are compared; by default the bounding box
    ///     of what is above a twentieth of the range of intensities, with a margin of a tenth.
    ///   - start: the motion from which the search starts.
    ///   - progress: called with the fraction that is done, 0 to 1.
    /// - Throws: ``RegistrationError``; `CancellationError`.
    public func align(
        _ moving: Volume, to fixed: Volume, mask: Volume? = nil, startingAt start: RigidTransform = .identity,
        progress: (@Sendable (Double) -> Void)? = nil
    ) async throws -> RegistrationResult {
        try await withTaskExecutorPreference(Self.executor) {
            try alignNow(moving, to: fixed, mask: mask, startingAt: start, progress: progress)
        }
    }

    /// ``align(_:to:mask:startingAt:progress:)`` on the calling thread.
    package func alignNow(
        _ moving: Volume, to fixed: Volume, mask: Volume? = nil, startingAt start: RigidTransform = .identity,
        progress: (@Sendable (Double) -> Void)? = nil
    ) throws -> RegistrationResult {
        precondition(threads > 0, "the number of threads must be above zero")
        precondition(samples >= 1000, "at least 1000 points must be compared")
        precondition((8...256).contains(bins), "the number of bins must be from 8 to 256")
        precondition((0...90).contains(searchAngle), "the angle of the search must be from 0 to 90 degrees")
        precondition((0...1).contains(minimumOverlap), "the overlap must be from 0 to 1")
        let levels = try self.levels(moving, fixed, mask: mask, progress: progress)
        let search = Search(levels: levels, threads: threads, angle: searchAngle, progress: progress)
        return try search.run(from: start.inverse)
    }

    /// The similarity at each resolution, the coarsest first.
    private func levels(
        _ moving: Volume, _ fixed: Volume, mask: Volume?, progress: (@Sendable (Double) -> Void)?
    ) throws -> [Similarity] {
        for (volume, name) in [(moving, RegistrationVolume.moving), (fixed, .fixed)]
        where volume.shape.min() < 4 {
            throw RegistrationError.tooFewVoxels(name, shape: volume.shape)
        }
        if let mask, !mask.grid.matches(fixed.grid) {
            throw RegistrationError.maskGrid(found: mask.grid, expected: fixed.grid)
        }
        guard let movingBins = SmoothedVolume(moving, bins: bins) else {
            throw RegistrationError.constantVolume(.moving)
        }
        guard let fixedBins = SmoothedVolume(fixed, bins: bins) else {
            throw RegistrationError.constantVolume(.fixed)
        }
        let region =
            mask.map(SampledRegion.init(mask:)) ?? SampledRegion(foregroundOf: fixedBins, bins: bins)
        guard region.volume > 0 else { throw RegistrationError.emptyMask }

        // No finer than voxels are: neither the fixed ones nor a moving volume's along its finest axis.
        let spacing = fixed.grid.spacing
        let voxel = cbrt(spacing.x * spacing.y * spacing.z)
        let finest = max(cbrt(region.volume / Double(samples)), voxel)
        var levels: [Similarity] = []
        for (index, width) in [4 * finest, 2 * finest, finest].enumerated() {
            try TimeLimit.check()
            // A coarse resolution with too few points for a histogram is left out.
            guard width == finest || region.volume / (width * width * width) >= 1000 else { continue }
            let points = SamplePoints(
                of: fixedBins.blurred(to: width, threads: threads), in: region, spacing: width, bins: bins)
            levels.append(
                Similarity(
                    samples: points, moving: movingBins.blurred(to: width, threads: threads), bins: bins,
                    smoothing: 1, minimumOverlap: minimumOverlap))
            progress?(Double(index + 1) * 0.1)
        }
        return levels
    }
}
