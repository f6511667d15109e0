public import Volumes
import VoxelSupport

/// Crops a volume to the bounding box of its foreground.
///
/// A volume without foreground is returned unchanged. Fitted to a volume, the step is a ``CropToBox``, which cuts the same
/// box out of a partner.
///
/// In a description: `{"kind": "crop_to_foreground", "threshold": 0.001, "margin": 0}`, or `"above"` in place of
/// `"threshold"`. All may be missing.
public struct CropToForeground: StorableTransform {
    /// The name in descriptions.
    public static let kind = "crop_to_foreground"

    /// The largest intensity of the background, as a fraction of the range of intensities, where ``above`` is `nil`.
    public var threshold: Float

    /// The largest intensity of the background itself, for volumes whose background is known.
    public var above: Float?

    /// Number of voxels kept on every side of the foreground, within the volume.
    public var margin: Int

    /// A step that keeps the foreground above `threshold`, and `margin` voxels around it.
    public init(threshold: Float = ForegroundMask.defaultThreshold, margin: Int = 0) {
        precondition(margin >= 0, "a margin cannot be negative")
        (self.threshold, above, self.margin) = (threshold, nil, margin)
    }

    /// A step that keeps all voxels above an intensity, and `margin` voxels around them.
    public init(above intensity: Float, margin: Int = 0) {
        self.init(margin: margin)
        above = intensity
    }

    /// The crop to the box of this volume's foreground; itself if there is none. O(n).
    public func fitted(to volume: Volume) -> any VolumeTransform {
        guard let box = box(in: volume) else { return CropToBox(from: .zero, shape: volume.shape) }
        return box
    }

    /// The cropped volume; the inverse pads it with its lowest intensity. O(n).
    public func apply(to volume: Volume) -> TransformedVolume {
        guard let box = box(in: volume) else { return TransformedVolume(volume: volume, inverse: .identity) }
        return box.apply(to: volume)
    }

    private func box(in volume: Volume) -> CropToBox? {
        let range = volume.intensityRange
        let limit = above ?? range.lowerBound + threshold * (range.upperBound - range.lowerBound)
        guard let box = volume.boundingBox(above: limit) else { return nil }
        let first = pointwiseMax(box.first &- margin, .zero)
        let last = pointwiseMin(box.last &+ margin, volume.shape &- 1)
        return CropToBox(from: first, shape: last &- first &+ 1)
    }

    private enum CodingKeys: String, CodingKey { case threshold, above, margin }

    /// Decodes a step.
    ///
    /// - Throws: `DecodingError` naming the field that is wrong.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        let threshold = try fields.decodeIfPresent(Float.self, forKey: .threshold)
        above = try fields.decodeIfPresent(Float.self, forKey: .above)
        margin = try fields.decodeIfPresent(Int.self, forKey: .margin) ?? 0
        guard threshold == nil || above == nil else {
            throw DecodingError(
                at: fields.codingPath, found: "both 'threshold' and 'above'", expected: "one of them")
        }
        guard (0...1 << 30).contains(margin) else {
            throw DecodingError(
                at: fields.codingPath + [CodingKeys.margin], found: "\(margin)", expected: "0 or more voxels")
        }
        self.threshold = threshold ?? ForegroundMask.defaultThreshold
    }

    /// Encodes the margin and the one limit that counts.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        if let above {
            try fields.encode(above, forKey: .above)
        } else {
            try fields.encode(threshold, forKey: .threshold)
        }
        try fields.encode(margin, forKey: .margin)
    }
}

/// Cuts a box out of a volume.
///
/// In a description: `{"kind": "crop_to_box", "from": [10, 12, 0], "shape": [160, 180, 150]}`.
public struct CropToBox: StorableTransform {
    /// The name in descriptions.
    public static let kind = "crop_to_box"

    /// The first voxel of the box. Where it is negative, the box begins outside the volume.
    public var origin: SIMD3<Int>

    /// Number of voxels of the box along each axis, at least one.
    public var shape: SIMD3<Int>

    /// The intensity of what has none: where the box extends beyond the volume, and outside the box on the way back.
    /// `nil` for the lowest intensity of the volume, and of the box.
    public var fill: Float?

    /// A step that keeps the box of `shape` voxels from `origin` on.
    public init(from origin: SIMD3<Int>, shape: SIMD3<Int>, fill: Float? = nil) {
        precondition(shape.min() > 0, "a box needs at least one voxel along each axis")
        (self.origin, self.shape, self.fill) = (origin, shape, fill)
    }

    /// The box; the inverse puts it back. O(n).
    public func apply(to volume: Volume) -> TransformedVolume {
        volume.boxed(from: origin, shape: shape, fill: fill)
    }

    private enum CodingKeys: String, CodingKey {
        case origin = "from"
        case shape, fill
    }

    /// Decodes a step.
    ///
    /// - Throws: `DecodingError` naming the field that is wrong.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        origin = try fields.decode(SIMD3<Int>.self, forKey: .origin)
        guard origin.min() >= -1 << 30, origin.max() <= 1 << 30 else {
            throw DecodingError(
                at: fields.codingPath + [CodingKeys.origin], found: origin.text, expected: "voxel indices")
        }
        shape = try fields.decodeShape(forKey: .shape)
        fill = try fields.decodeIfPresent(Float.self, forKey: .fill)
    }
}

/// Crops and pads a volume about its centre to a shape.
///
/// Of n voxels along an axis, w are kept from n/2 - w/2 on, or (w - n)/2 are added before them, all rounded down. A warning
/// says how much is lost where the crop removes more than background.
///
/// In a description: `{"kind": "crop_or_pad", "shape": [160, 160, 160]}`, and `"fill": 0` where padding is not to have the
/// volume's lowest intensity.
public struct CropOrPad: StorableTransform {
    /// The name in descriptions.
    public static let kind = "crop_or_pad"

    /// Number of voxels along each axis, at least one.
    public var shape: SIMD3<Int>

    /// The intensity of padding, on the way back too; `nil` for the lowest intensity.
    public var fill: Float?

    /// A step to a shape.
    public init(to shape: SIMD3<Int>, fill: Float? = nil) {
        precondition(shape.min() > 0, "a shape needs at least one voxel along each axis")
        (self.shape, self.fill) = (shape, fill)
    }

    /// The volume with the shape; the inverse pads and crops it. O(n).
    public func apply(to volume: Volume) -> TransformedVolume {
        let origin = SIMD3(
            (0..<3).map { axis in
                let (n, wanted) = (volume.shape[axis], shape[axis])
                return n > wanted ? n / 2 - wanted / 2 : -((wanted - n) / 2)
            })
        guard shape != volume.shape else { return TransformedVolume(volume: volume, inverse: .identity) }
        let boxed = volume.boxed(from: origin, shape: shape, fill: fill)
        return TransformedVolume(
            volume: boxed.volume, inverse: boxed.inverse, warning: loss(of: volume, origin))
    }

    /// A warning if voxels outside the box are brighter than background.
    private func loss(of volume: Volume, _ origin: SIMD3<Int>) -> String? {
        let range = volume.intensityRange
        let limit =
            range.lowerBound + ForegroundMask.defaultThreshold * (range.upperBound - range.lowerBound)
        guard let found = volume.boundingBox(above: limit) else { return nil }
        let end = origin &+ shape
        guard any(found.first .< origin) || any(found.last .>= end) else { return nil }
        let needed = found.last &- found.first &+ 1
        return "cropping to \(shape.text) voxels cuts off some of the foreground, whose box has \(needed.text)"
    }

    private enum CodingKeys: String, CodingKey { case shape, fill }

    /// Decodes a step.
    ///
    /// - Throws: `DecodingError` naming the field that is wrong.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        shape = try fields.decodeShape(forKey: .shape)
        fill = try fields.decodeIfPresent(Float.self, forKey: .fill)
    }
}

/// Pads the slices of a plane with the lowest intensity, evenly on both sides, until the numbers of rows and columns are
/// multiples of ``multiple``.
///
/// In a description: `{"kind": "pad_to_multiple", "multiple": 8, "plane": "axial"}`, without a plane for all three axes.
public struct PadToMultiple: StorableTransform {
    /// The name in descriptions.
    public static let kind = "pad_to_multiple"

    /// The divisor of the numbers of rows and columns.
    public var multiple: Int

    /// The plane of the slices, or `nil` to pad along all axes.
    public var plane: SlicePlane?

    /// The intensity of the padding, or `nil` for the volume's lowest one.
    public var fill: Float?

    /// A step that pads the slices of a plane to a multiple, at least one.
    public init(of multiple: Int, plane: SlicePlane? = .axial, fill: Float? = nil) {
        precondition(multiple > 0, "a multiple must be above zero")
        (self.multiple, self.plane, self.fill) = (multiple, plane, fill)
    }

    /// The padded volume; the inverse crops it. O(n).
    public func apply(to volume: Volume) -> TransformedVolume {
        var shape = volume.shape
        let axes = plane.map { Array($0.permutation(for: volume.grid).sources.prefix(2)) } ?? [0, 1, 2]
        for axis in axes { shape[axis] = (shape[axis] + multiple - 1) / multiple * multiple }
        return CropOrPad(to: shape, fill: fill).apply(to: volume)
    }

    private enum CodingKeys: String, CodingKey { case multiple, plane, fill }

    /// Decodes a step.
    ///
    /// - Throws: `DecodingError` naming the field that is wrong.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        multiple = try fields.decode(Int.self, forKey: .multiple)
        plane = try fields.decodeIfPresent(SlicePlane.self, forKey: .plane)
        fill = try fields.decodeIfPresent(Float.self, forKey: .fill)
        guard (1...4096).contains(multiple) else {
            throw DecodingError(
                at: fields.codingPath + [CodingKeys.multiple], found: "\(multiple)", expected: "1 to 4096")
        }
    }
}

// MARK: Boxes

extension KeyedDecodingContainer {
    /// A shape from its field.
    fileprivate func decodeShape(forKey key: Key) throws -> SIMD3<Int> {
        let shape = try decode(SIMD3<Int>.self, forKey: key)
        let limit = Double(Resample.voxelLimit)
        guard shape.min() > 0, Double(shape.x) * Double(shape.y) * Double(shape.z) <= limit else {
            throw DecodingError(
                at: codingPath + [key], found: shape.text,
                expected: "at least one voxel along each axis, and at most \(Resample.voxelLimit) in all")
        }
        return shape
    }
}

extension Volume {
    /// The first and last voxel of the bounding box of all voxels above an intensity, or `nil` if there are none. O(n).
    package func boundingBox(above limit: Float) -> (first: SIMD3<Int>, last: SIMD3<Int>)? {
        var (first, last) = (shape, SIMD3<Int>(repeating: -1))
        voxels.withUnsafeBufferPointer { voxels in
            for z in 0..<shape.z {
                for y in 0..<shape.y {
                    let row = voxels[grid.offset(0, y, z)..<grid.offset(0, y, z) + shape.x]
                    guard let start = row.firstIndex(where: { $0 > limit }) else { continue }
                    let end = row.lastIndex { $0 > limit }!
                    first = pointwiseMin(first, [start - row.startIndex, y, z])
                    last = pointwiseMax(last, [end - row.startIndex, y, z])
                }
            }
        }
        return last.x < 0 ? nil : (first, last)
    }

    /// The step that extracts a box, whose inverse puts it back.
    fileprivate func boxed(from origin: SIMD3<Int>, shape: SIMD3<Int>, fill: Float?) -> TransformedVolume {
        let sourceGrid = grid
        return TransformedVolume(
            volume: box(from: origin, shape: shape, fill: fill ?? intensityRange.lowerBound),
            inverse: .geometry { boxed in
                let restored = boxed.box(
                    from: .zero &- origin, shape: sourceGrid.shape,
                    fill: fill ?? boxed.intensityRange.lowerBound)
                return Volume(grid: sourceGrid, voxels: restored.voxels)
            })
    }

    /// The box of `shape` voxels from `origin` on, with `fill` where it extends beyond the volume. World positions are
    /// preserved. O(n) in the voxels of the box.
    package func box(from origin: SIMD3<Int>, shape: SIMD3<Int>, fill: Float) -> Volume {
        var affine = grid.affine
        affine.translation = grid.world(atVoxel: SIMD3<Double>(origin))
        let boxGrid = VoxelGrid(shape: shape, affine: affine)
        var boxVoxels = [Float](repeating: fill, count: boxGrid.count)
        let first = pointwiseMax(origin, .zero)
        let end = pointwiseMin(origin &+ shape, self.shape)
        if all(first .< end) {
            for z in first.z..<end.z {
                for y in first.y..<end.y {
                    let from = grid.offset(first.x, y, z)
                    let to = boxGrid.offset(first.x - origin.x, y - origin.y, z - origin.z)
                    boxVoxels.replaceSubrange(
                        to..<to + end.x - first.x, with: voxels[from..<from + end.x - first.x])
                }
            }
        }
        return Volume(grid: boxGrid, voxels: boxVoxels)
    }
}
