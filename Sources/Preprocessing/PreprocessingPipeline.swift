import Foundation
import Volumes

/// A sequence of reversible preprocessing steps.
///
/// ```swift
/// let prepared = try PreprocessingPipeline.brain(spacing: 1).apply(to: ct)
/// let sampled = try await sampler.sample(from: prepared.volume.scaledToNetworkRange())
/// let mri = try prepared.restoreGrid(of: sampled.scaledToUnitRange())         // on the grid of the CT
/// ```
public struct PreprocessingPipeline: Sendable {
    /// The steps, in the order of application.
    public var transforms: [any VolumeTransform]

    /// A pipeline of steps.
    public init(_ transforms: [any VolumeTransform]) { self.transforms = transforms }

    /// The steps for a brain: RAS orientation, an isotropic spacing, the bounding box of the foreground, intensities in
    /// [0, 1].
    ///
    /// - Parameter spacing: distance between voxels in millimetres, above zero.
    public static func brain(spacing: Double = 1) -> PreprocessingPipeline {
        PreprocessingPipeline([
            Reorient(to: .ras), Resample(spacing: spacing), CropToForeground(), RescaleIntensity(),
        ])
    }

    /// This pipeline with another step at its end.
    public func appending(_ transform: some VolumeTransform) -> PreprocessingPipeline {
        PreprocessingPipeline(transforms + [transform])
    }

    /// The prepared volume, with the inverses of all steps.
    ///
    /// - Throws: what a step throws, for example ``PreprocessingError/constantVolume(_:)``.
    public func apply(to volume: Volume) throws -> PreparedVolume {
        var current = volume
        var inverses: [InverseTransform] = []
        for transform in transforms {
            let transformed = try transform.apply(to: current)
            current = transformed.volume
            inverses.append(transformed.inverse)
        }
        return PreparedVolume(volume: current, inverses: inverses)
    }
}

/// A preprocessed volume, with the inverses of the steps.
public struct PreparedVolume: Sendable, CustomStringConvertible {
    /// The preprocessed volume.
    public let volume: Volume

    let inverses: [InverseTransform]

    /// The grid and the intensities of the preprocessed volume. O(n).
    public var description: String { "\(volume)" }

    /// A volume on the prepared grid, mapped to the source's grid. Intensities are not rescaled.
    ///
    /// - Throws: ``PreprocessingError/gridMismatch(found:expected:)`` if it is not on the prepared grid.
    public func restoreGrid(of volume: Volume) throws -> Volume {
        try undo(volume) { inverse in
            if case .geometry(let restore) = inverse { restore } else { nil }
        }
    }

    /// A volume on the prepared grid, mapped to the source's grid and to the source's range of intensities.
    ///
    /// - Throws: ``PreprocessingError/gridMismatch(found:expected:)`` if it is not on the prepared grid.
    public func restore(_ volume: Volume) throws -> Volume {
        try undo(volume) { inverse in
            switch inverse {
            case .geometry(let restore), .intensity(let restore): restore
            }
        }
    }

    private func undo(
        _ volume: Volume, step: (InverseTransform) -> (@Sendable (Volume) -> Volume)?
    ) throws -> Volume {
        guard volume.grid.matches(self.volume.grid) else {
            throw PreprocessingError.gridMismatch(found: volume.grid, expected: self.volume.grid)
        }
        return inverses.reversed().compactMap(step).reduce(volume) { $1($0) }
    }
}

/// Why a volume could not be preprocessed or restored.
public enum PreprocessingError: Error, CustomStringConvertible, LocalizedError {
    /// All voxels have the same intensity, so that there is no range to scale.
    case constantVolume(Float)

    /// A volume to restore is not on the prepared grid.
    case gridMismatch(found: VoxelGrid, expected: VoxelGrid)

    /// Resampling would make more voxels than the limit.
    case tooManyVoxels(shape: SIMD3<Double>, limit: Int)

    /// What was found, what was expected and what to do.
    public var description: String {
        switch self {
        case .constantVolume(let value):
            "every voxel of the volume is \(value); expected a range of intensities"
        case .gridMismatch(let found, let expected):
            "a volume of \(found) cannot be restored; expected \(expected), the grid of the prepared volume"
        case .tooManyVoxels(let shape, let limit):
            "resampling would make \(shape.x.shortText) x \(shape.y.shortText) x \(shape.z.shortText) voxels; "
                + "expected at most \(limit): choose a larger spacing, or check the spacing in the file's header"
        }
    }

    /// The same as `description`.
    public var errorDescription: String? { description }
}
