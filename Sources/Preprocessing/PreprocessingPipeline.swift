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

    /// The steps for a brain: intensities in [0, 1] with background at 0, RAS orientation, an isotropic spacing, the
    /// bounding box of the foreground.
    ///
    /// - Parameters:
    ///   - spacing: distance between voxels in millimetres, above zero.
    ///   - intensities: how intensities are scaled, and what is background.
    public static func brain(
        spacing: Double = 1, intensities: RescaleIntensity = RescaleIntensity()
    ) -> PreprocessingPipeline {
        PreprocessingPipeline([
            intensities, Reorient(to: .ras), Resample(spacing: spacing), CropToForeground(),
        ])
    }

    /// This pipeline with another step at its end.
    public func appending(_ transform: some VolumeTransform) -> PreprocessingPipeline {
        PreprocessingPipeline(transforms + [transform])
    }

    /// The prepared volume, with the inverses of all steps.
    ///
    /// - Parameters:
    ///   - volume: the volume.
    ///   - mask: its foreground, on its grid, inside which ``RescaleIntensity`` measures; `nil` for all but the background.
    /// - Throws: what a step throws, for example ``PreprocessingError/constantVolume(_:)``.
    public func apply(to volume: Volume, mask: ForegroundMask? = nil) throws -> PreparedVolume {
        var prepared = PreparedVolume(volume: volume, inverses: [])
        for transform in transforms {
            let transformed: TransformedVolume
            if let step = transform as? RescaleIntensity {
                let fit = try IntensityFit(
                    step, to: prepared.volume,
                    mask: mask?.resampled(from: volume.grid, onto: prepared.volume.grid))
                transformed = fit.transformed
                prepared.foreground = try prepared.restoreGrid(of: fit.foreground, onto: volume.grid)
                prepared.warnings += fit.warnings
            } else {
                transformed = try transform.apply(to: prepared.volume)
            }
            prepared.volume = transformed.volume
            prepared.inverses.append(transformed.inverse)
        }
        return prepared
    }

    /// The step that scales intensities, if there is one.
    public var intensities: RescaleIntensity? { transforms.lazy.compactMap { $0 as? RescaleIntensity }.first }
}

/// A preprocessed volume, with the inverses of the steps.
public struct PreparedVolume: Sendable, CustomStringConvertible {
    /// The preprocessed volume.
    public internal(set) var volume: Volume

    /// The foreground of the source as its intensities were scaled, on the source's grid; `nil` if no step scaled them.
    public internal(set) var foreground: ForegroundMask?

    /// What may be wrong with the scaling of intensities.
    public internal(set) var warnings: [IntensityWarning] = []

    var inverses: [InverseTransform]

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

    /// A mask on the prepared grid, on the source's.
    fileprivate func restoreGrid(of mask: ForegroundMask, onto grid: VoxelGrid) throws -> ForegroundMask {
        guard !volume.grid.matches(grid) else { return mask }
        return ForegroundMask(above: 0.5, in: try restoreGrid(of: mask.volume(on: volume.grid)))
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

extension ForegroundMask {
    /// The mask on another grid.
    fileprivate func resampled(from grid: VoxelGrid, onto other: VoxelGrid) -> ForegroundMask {
        grid.matches(other) ? self : ForegroundMask(above: 0.5, in: volume(on: grid).resampled(onto: other))
    }
}

/// Why a volume could not be preprocessed or restored.
public enum PreprocessingError: Error, CustomStringConvertible, LocalizedError {
    /// All voxels have the same intensity, so that there is no range to scale.
    case constantVolume(Float)

    /// All voxels of the foreground, or inside a mask, have the same intensity.
    case constantForeground(Float)

    /// A mask shows nothing, or only voxels that are not finite; or all voxels are background.
    case emptyMask

    /// No brain was found in a CT; what was found instead.
    case noBrain(String)

    /// A volume to restore is not on the prepared grid.
    case gridMismatch(found: VoxelGrid, expected: VoxelGrid)

    /// Resampling would make more voxels than the limit.
    case tooManyVoxels(shape: SIMD3<Double>, limit: Int)

    /// What was found, what was expected and what to do.
    public var description: String {
        switch self {
        case .constantVolume(let value):
            "every voxel of the volume is \(value); expected a range of intensities" + Self.precision(at: value)
        case .constantForeground(let value):
            "every voxel of the foreground is \(value); expected a range of intensities"
                + Self.precision(at: value)
        case .emptyMask:
            "the mask, or what is not background, holds no voxel that is a number; check that the mask belongs to the "
                + "volume, and the background's intensity"
        case .noBrain(let found):
            "no brain was found in the CT: \(found); expected a CT of a whole head, with its skull, in Hounsfield units"
        case .gridMismatch(let found, let expected):
            "a volume of \(found) cannot be restored; expected \(expected), the grid of the prepared volume"
        case .tooManyVoxels(let shape, let limit):
            "resampling would make \(shape.x.shortText) x \(shape.y.shortText) x \(shape.z.shortText) voxels; "
                + "expected at most \(limit): choose a larger spacing, or check the spacing in the file's header"
        }
    }

    /// The same as `description`.
    public var errorDescription: String? { description }

    /// That numbers of this size are all equal only because 32 bits cannot tell them apart.
    private static func precision(at value: Float) -> String {
        value.ulp <= 1
            ? ""
            : " (differences below \(Double(value.ulp).shortText) are lost at 32 bits: subtract an offset first)"
    }
}
