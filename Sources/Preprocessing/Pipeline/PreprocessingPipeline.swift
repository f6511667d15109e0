public import Foundation
public import Volumes

/// A sequence of reversible preprocessing steps.
///
/// ```swift
/// let prepared = try PreprocessingPipeline.brain(spacing: 1).apply(to: ct)
/// let sampled = try await sampler.sample(from: prepared.volume.scaledToNetworkRange())
/// let mri = try prepared.restoreGrid(of: sampled.scaledToUnitRange())         // on the grid of the CT
/// ```
///
/// Of a pair, one volume decides what is cropped, and the other follows:
///
/// ```swift
/// let source = try pipeline.apply(to: ct)
/// let target = try source.pipeline.apply(to: t1)      // the same box; intensities of its own
/// ```
public struct PreprocessingPipeline: Sendable {
    /// The steps, in the order of application.
    public var transforms: [any VolumeTransform]

    /// The grid of the volume that the pipeline was fitted to, the only one that it then applies to; `nil` for any.
    public let grid: VoxelGrid?

    /// A pipeline of steps.
    public init(_ transforms: [any VolumeTransform]) { self.init(transforms, fittedTo: nil) }

    init(_ transforms: [any VolumeTransform], fittedTo grid: VoxelGrid?) {
        (self.transforms, self.grid) = (transforms, grid)
    }

    /// This pipeline with another step at its end.
    public func appending(_ transform: some VolumeTransform) -> PreprocessingPipeline {
        PreprocessingPipeline(transforms + [transform], fittedTo: grid)
    }

    /// The pipeline for a volume of labels: the same geometry, by the nearest voxel, and no change of values.
    ///
    /// ```swift
    /// let labels = try source.pipeline.forLabels.apply(to: segmentation)
    /// ```
    public var forLabels: PreprocessingPipeline {
        PreprocessingPipeline(transforms.compactMap(\.forLabels), fittedTo: grid)
    }

    /// The prepared volume, with the inverses of all steps.
    ///
    /// - Parameters:
    ///   - volume: the volume.
    ///   - mask: its foreground, on its grid, inside which ``RescaleIntensity`` measures; `nil` for all but the background.
    /// - Throws: what a step throws, for example ``PreprocessingError/constantVolume(_:)``;
    ///   ``PreprocessingError/gridMismatch(found:expected:)`` if the pipeline was fitted to a volume on another grid.
    public func apply(to volume: Volume, mask: ForegroundMask? = nil) throws -> PreparedVolume {
        let volume = try grid.map { try volume.moved(to: $0) } ?? volume
        var prepared = PreparedVolume(
            volume: volume, pipeline: PreprocessingPipeline([], fittedTo: volume.grid))
        var isScaled = false
        for transform in transforms {
            let step = try transform.fitted(to: prepared.volume)
            let transformed: TransformedVolume
            if let step = step as? RescaleIntensity {
                let fit = try IntensityFit(
                    step, to: prepared.volume,
                    mask: mask?.resampled(from: volume.grid, onto: prepared.volume.grid))
                transformed = fit.transformed
                prepared.foreground = try prepared.restoreGrid(
                    of: fit.foreground(of: transformed.volume), onto: volume.grid)
                prepared.warnings += fit.warnings
                isScaled = fit.scale.clips
            } else if isScaled, let step = step as? any ResamplingTransform, step.interpolation == .cubic {
                transformed = try step.apply(to: prepared.volume).keepingRange(of: prepared.volume)
            } else {
                transformed = try step.apply(to: prepared.volume)
            }
            prepared.volume = transformed.volume
            prepared.pipeline.transforms.append(step)
            prepared.inverses.append(transformed.inverse)
            if let warning = transformed.warning { prepared.geometryWarnings.append(warning) }
        }
        return prepared
    }

    /// The step that scales intensities, if there is one.
    public var intensities: RescaleIntensity? { transforms.lazy.compactMap { $0 as? RescaleIntensity }.first }
}

extension Volume {
    /// The volume on a grid that it lies on up to the tolerance, so that rounding makes no difference later.
    fileprivate func moved(to grid: VoxelGrid) throws -> Volume {
        guard self.grid.matches(grid) else {
            throw PreprocessingError.gridMismatch(found: self.grid, expected: grid)
        }
        return Volume(grid: grid, voxels: voxels)
    }
}

/// A preprocessed volume, with the inverses of the steps.
public struct PreparedVolume: Sendable, CustomStringConvertible {
    /// The preprocessed volume.
    public internal(set) var volume: Volume

    /// The pipeline as fitted to the volume: it does the same to the geometry of a partner on the same grid.
    public internal(set) var pipeline: PreprocessingPipeline

    /// The foreground of the source as its intensities were scaled, on the source's grid; `nil` if no step scaled them.
    public internal(set) var foreground: ForegroundMask?

    /// What may be wrong with the scaling of intensities.
    public internal(set) var warnings: [IntensityWarning] = []

    /// What a user should know about the grid of the result, a sentence each.
    public internal(set) var geometryWarnings: [String] = []

    var inverses: [InverseTransform] = []

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
        let moved = try volume.moved(to: self.volume.grid)
        return inverses.reversed().compactMap(step).reduce(moved) { $1($0) }
    }
}

extension ForegroundMask {
    /// The mask on another grid.
    package func resampled(from grid: VoxelGrid, onto other: VoxelGrid) -> ForegroundMask {
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

    /// A volume to restore is not on the prepared grid, or a partner not on that of the volume that the pipeline was
    /// fitted to.
    case gridMismatch(found: VoxelGrid, expected: VoxelGrid)

    /// Resampling would make more voxels than the limit.
    case tooManyVoxels(shape: SIMD3<Double>, limit: Int)

    /// A pipeline to be described has a step of a type that is no ``StorableTransform``.
    case notStorable(step: String)

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
            "the volume is on another grid: \(found.difference(from: expected)); resample it onto that grid first"
        case .tooManyVoxels(let shape, let limit):
            "resampling would make \(shape.x.shortText) x \(shape.y.shortText) x \(shape.z.shortText) voxels; "
                + "expected at most \(limit): choose a larger spacing, or check the spacing in the file's header"
        case .notStorable(let step):
            "a step of the type \(step) cannot be described; make it a StorableTransform"
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
