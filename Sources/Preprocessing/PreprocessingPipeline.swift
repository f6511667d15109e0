import Volumes

/// Steps that prepare a volume for a network, one after another, and that remember how to be undone.
///
/// ```swift
/// let prepared = try PreprocessingPipeline.brain(spacing: 1).apply(to: ct)
/// let sampled = try await sampler.sample(from: prepared.volume.scaledToNetworkRange())
/// let mri = try prepared.restoreGrid(of: sampled.scaledToUnitRange())    // on the CT's own grid
/// ```
public struct PreprocessingPipeline: Sendable {
    /// The steps, in the order in which they are applied.
    public var transforms: [any VolumeTransform]

    /// A pipeline of steps.
    public init(_ transforms: [any VolumeTransform]) { self.transforms = transforms }

    /// The steps for a brain: RAS orientation, an isotropic spacing, the foreground's bounding box, intensities
    /// from 0 to 1.
    ///
    /// - Parameter spacing: distance between voxels in millimetres, above zero.
    public static func brain(spacing: Double = 1) -> PreprocessingPipeline {
        PreprocessingPipeline([
            Reorient(to: .ras), Resample(spacing: spacing), CropToForeground(), RescaleIntensity(),
        ])
    }

    /// This pipeline with a further step at its end.
    public func appending(_ transform: some VolumeTransform) -> PreprocessingPipeline {
        PreprocessingPipeline(transforms + [transform])
    }

    /// The prepared volume, and how to undo what was done.
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

/// A volume that a pipeline prepared.
public struct PreparedVolume: Sendable {
    /// The prepared volume.
    public let volume: Volume

    let inverses: [InverseTransform]

    /// A volume on the prepared grid brought back to the source's grid, its intensities as they are.
    ///
    /// - Throws: ``PreprocessingError/gridMismatch(found:expected:)`` where it is not on the prepared grid.
    public func restoreGrid(of volume: Volume) throws -> Volume {
        try undo(volume) { inverse in
            if case .geometry(let restore) = inverse { restore } else { nil }
        }
    }

    /// A volume on the prepared grid brought back to the source's grid and to the source's intensities.
    ///
    /// - Throws: ``PreprocessingError/gridMismatch(found:expected:)`` where it is not on the prepared grid.
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
