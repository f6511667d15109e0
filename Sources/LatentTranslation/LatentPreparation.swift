import Networks
public import Preprocessing
public import Volumes
import VoxelSupport

/// Prepares a source as the first stage was trained.
///
/// RAS orientation; a spacing where one is given; the box of a reference's positive voxels; zeros around it up to a shape, or
/// its centre; intensities scaled linearly so that two percentiles, background included, meet two bounds. Nothing is
/// clipped. As in the public code of Kim and Park, WACV 2024.
public struct LatentPreparation: Codable, Equatable, Sendable {
    /// The voxels along x, y and z; nil for the box itself, with zeros up to multiples of what the model takes.
    public var shape: [Int]? = [144, 192, 144]
    /// Two percentiles of a volume's intensities, 0 to 100.
    public var percentiles = [0.5, 99.5]
    /// What they become.
    public var bounds = [-1.0, 1.0]
    /// Distance between voxels in millimetres; nil to leave it as it is.
    public var spacing: Double?

    /// The public code's. Change what differs.
    public init() {}

    /// A preparation.
    public init(shape: [Int]?, percentiles: [Double] = [0.5, 99.5], bounds: [Double] = [-1, 1]) {
        (self.shape, self.percentiles, self.bounds) = (shape, percentiles, bounds)
    }

    /// The shape that memory is planned for: the published one where volumes have shapes of their own.
    package var plannedShape: [Int] { shape ?? Self().shape ?? [] }

    /// Encodes all fields: without a shape, null, which a missing field does not mean.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(shape, forKey: .shape)
        try fields.encode(percentiles, forKey: .percentiles)
        try fields.encode(bounds, forKey: .bounds)
        try fields.encode(spacing, forKey: .spacing)
    }

    /// Prepares a volume.
    ///
    /// - Parameters:
    ///   - volume: any grid; background at 0 or below. NaN counts as 0.
    ///   - reference: a volume of the same subject on the same grid, whose positive voxels give the box: the published
    ///     models were trained with T1 for it. Nil for the volume itself.
    ///   - multiple: what extents are multiples of, where `shape` is nil.
    /// - Returns: the volume, intensities about within the bounds, and the way back to its grid.
    /// - Throws: `LatentTranslationError` where there is no positive voxel, no contrast, or the grids differ; what resampling
    ///   throws. O(n log n).
    public func apply(to volume: Volume, reference: Volume? = nil, multiple: Int = 1) throws -> PreparedVolume {
        if let reference, !reference.grid.matches(volume.grid) {
            throw LatentTranslationError.referenceGrid(found: reference.grid, expected: volume.grid)
        }
        let (box, _) = try boundingBox(of: reference ?? volume)
        let fitted = shape(for: box.shape, multiple: multiple)
        let transforms: [any VolumeTransform] = [
            CropToBox(from: box.origin, shape: box.shape, fill: 0), CropOrPad(to: fitted, fill: 0),
            RescalePercentiles(percentiles: percentiles, bounds: bounds),
        ]
        return try PreprocessingPipeline(placement.transforms + transforms).apply(to: volume)
    }

    /// The share of a volume's positive voxels that the shape cuts off: 0 where the box fits. O(n).
    ///
    /// - Throws: as ``apply(to:reference:multiple:)`` does.
    public func shareCutOff(of volume: Volume) throws -> Double {
        let (box, placed) = try boundingBox(of: volume)
        let boxed = CropToBox(from: box.origin, shape: box.shape, fill: 0).apply(to: placed).volume
        let fitted = CropOrPad(to: shape(for: box.shape, multiple: 1), fill: 0).apply(to: boxed).volume
        let kept = fitted.voxels.count { $0 > 0 }
        return 1 - Double(kept) / Double(placed.voxels.count { $0 > 0 })
    }

    /// Background, orientation and spacing.
    private var placement: PreprocessingPipeline {
        PreprocessingPipeline(
            [ReplaceNaN(), Reorient(to: .ras)]
                + (spacing.map { [Resample(spacing: $0) as any VolumeTransform] } ?? []))
    }

    /// The box of a volume's positive voxels, and the volume in which it lies.
    private func boundingBox(
        of volume: Volume
    ) throws -> (box: (origin: SIMD3<Int>, shape: SIMD3<Int>), placed: Volume) {
        let placed = try placement.apply(to: volume).volume
        guard let box = placed.boundingBox(above: 0) else { throw LatentTranslationError.noForeground }
        return ((box.first, box.last &- box.first &+ 1), placed)
    }

    /// The shape that a box is padded or cropped to.
    private func shape(for box: SIMD3<Int>, multiple: Int) -> SIMD3<Int> {
        shape.map { SIMD3($0[0], $0[1], $0[2]) } ?? (box &+ (multiple - 1)) / multiple &* multiple
    }

    /// - Throws: `NetworkConfigurationError` naming the field that is wrong.
    func validate(multiple: Int) throws(NetworkConfigurationError) {
        if let shape {
            try NetworkConfigurationError.require(
                "shape", shape,
                shape.count == 3 && shape.allSatisfy { (1...4096).contains($0) && $0 % multiple == 0 },
                "three multiples of \(multiple), up to 4096")
        }
        try NetworkConfigurationError.require(
            "percentiles", percentiles,
            percentiles.count == 2 && percentiles.allSatisfy { (0...100).contains($0) }
                && percentiles[0] < percentiles[1], "two ascending numbers from 0 to 100")
        try NetworkConfigurationError.require(
            "bounds", bounds,
            bounds.count == 2 && bounds.allSatisfy(\.isFinite) && bounds[0] < bounds[1],
            "two ascending numbers")
        if let spacing {
            try NetworkConfigurationError.require(
                "spacing", spacing, (0.0001...1000).contains(spacing), "0.0001 to 1000, in millimetres")
        }
    }
}

/// Makes voxels that are not finite background.
private struct ReplaceNaN: VolumeTransform {
    func apply(to volume: Volume) -> TransformedVolume {
        let isFinite = volume.voxels.allSatisfy(\.isFinite)
        return TransformedVolume(
            volume: isFinite ? volume : volume.map { $0.isFinite ? $0 : 0 }, inverse: .geometry { $0 })
    }
}

/// Scales intensities linearly so that two percentiles of all voxels meet two bounds.
private struct RescalePercentiles: VolumeTransform {
    let percentiles, bounds: [Double]

    func apply(to volume: Volume) throws -> TransformedVolume {
        guard let ends = OrderStatistics(volume.voxels).quantiles(percentiles.map { $0 / 100 }) else {
            throw LatentTranslationError.noForeground
        }
        let (low, high) = (ends[0], ends[1])
        guard high > low else {
            throw LatentTranslationError.noContrast(percentiles: percentiles, intensity: low)
        }
        let (first, last) = (bounds[0], bounds[1])
        return TransformedVolume(
            volume: volume.map { Float((Double($0) - low) / (high - low) * (last - first) + first) },
            inverse: .intensity { $0.map { Float((Double($0) - first) / (last - first) * (high - low) + low) } }
        )
    }
}
