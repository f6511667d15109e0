public import DiffusionSampling
public import Volumes

/// A volume's slices in a plane, one after another, with N padding slices at each end.
///
/// Where windows share their slices the state x_t is one stack of P + 2N slices, for P slices of the volume, as the
/// source is. Where each window follows a trajectory of its own, it has 2N+1 slices for each window.
public struct SliceStack: ArraySampleStorage, Equatable {
    /// How the slices lie.
    public let shape: SliceLayout

    /// The voxels, columns fastest, then rows, then slices.
    public var values: [Float]

    /// A stack of voxels, or `nil` where there are not as many as the layout has.
    public init?(restoring values: [Float], as shape: SliceLayout) {
        guard shape.count == values.count else { return nil }
        (self.shape, self.values) = (shape, values)
    }

    /// The slices of a volume, extended by N slices at both ends.
    ///
    /// - Parameters:
    ///   - volume: the volume.
    ///   - plane: the plane of the slices.
    ///   - radius: N.
    ///   - background: the value of the slices beyond the ends.
    public init(_ volume: Volume, plane: SlicePlane, radius: Int, background: Float) {
        shape = SliceLayout(plane: plane, radius: radius, of: volume.grid, windowsShareSlices: true)
        let end = [Float](repeating: background, count: radius * shape.voxelsPerSlice)
        values = end + volume.permuted(shape.permutation).voxels + end
    }

    /// The volume that the windows' middle slices make, on the grid that the stack was cut from. O(n).
    public var volume: Volume {
        let middle =
            shape.windowsShareSlices
            ? Array(
                values[shape.voxels(ofSlice: shape.radius).lowerBound...]
                    .prefix(shape.windows * shape.voxelsPerSlice))
            : (0..<shape.windows).flatMap {
                values[shape.voxels(ofSlice: shape.slice(window: $0, position: shape.radius))]
            }
        let permuted = Volume(grid: shape.grid.permuted(shape.permutation), voxels: middle)
        // The grid itself: reordering axes and back may round its affine.
        return Volume(grid: shape.grid, voxels: permuted.permuted(shape.permutation.inverse).voxels)
    }

    /// Number of voxels in a slice.
    public var groupSize: Int { shape.voxelsPerSlice }

    /// Adds the noise of each slice's place in the volume, so that windows agree on the slices that they share.
    public mutating func addNoise(_ field: NoiseField, timestep: Int, weight: Double) {
        addNoise(field, timestep: timestep, weight: weight, to: 0..<shape.slices)
    }

    /// Adds noise to some of the slices.
    mutating func addNoise(_ field: NoiseField, timestep: Int, weight: Double, to slices: Range<Int>) {
        let weight = Float(weight)
        for slice in slices {
            let noise = field.slice(
                shape.sharedSlice(of: slice) - shape.radius, rows: shape.rows, columns: shape.columns,
                timestep: timestep)
            let start = shape.voxels(ofSlice: slice).lowerBound
            values.withUnsafeMutableBufferPointer { values in
                for (index, value) in noise.enumerated() { values[start + index] += weight * value }
            }
        }
    }

    /// The weighted sum. A stack whose windows share their slices may be added to one whose windows do not.
    public mutating func combine(_ weight: Double, adding terms: [WeightedSample<SliceStack>]) {
        guard terms.contains(where: { $0.weight != 0 && $0.storage.shape != shape }) else {
            combineValues(weight, adding: terms)
            return
        }
        let layout = shape
        var weight = Float(weight)
        for term in terms where term.weight != 0 {
            let other = term.storage.shape
            precondition(
                other == layout || other == layout.shared, "stacks of different slices cannot be added")
            let otherWeight = Float(term.weight)
            values.withUnsafeMutableBufferPointer { sum in
                term.storage.values.withUnsafeBufferPointer { values in
                    for slice in 0..<layout.slices {
                        let start = other == layout ? slice : layout.sharedSlice(of: slice)
                        let shift = (start - slice) * layout.voxelsPerSlice
                        for index in layout.voxels(ofSlice: slice) {
                            sum[index] = weight * sum[index] + otherWeight * values[index + shift]
                        }
                    }
                }
            }
            weight = 1
        }
    }

    /// The stack in a layout of the same windows that do not share slices.
    func expanded(to layout: SliceLayout) -> SliceStack {
        guard layout != shape else { return self }
        precondition(
            shape.windowsShareSlices && shape == layout.shared, "stacks of different slices cannot be added")
        var expanded: [Float] = []
        expanded.reserveCapacity(layout.count)
        for slice in 0..<layout.slices {
            expanded += values[shape.voxels(ofSlice: layout.sharedSlice(of: slice))]
        }
        return SliceStack(restoring: expanded, as: layout)!
    }
}

/// How the slices of a volume lie in a ``SliceStack``.
public struct SliceLayout: Equatable, Sendable {
    /// The plane of the slices.
    public let plane: SlicePlane

    /// N: slices on either side of a window's middle one, and slices beyond each end of the volume.
    public let radius: Int

    /// The grid of the volume.
    public let grid: VoxelGrid

    /// Whether windows share their slices. If not, each window has 2N+1 slices of its own.
    public let windowsShareSlices: Bool

    /// Number of rows of a slice.
    public let rows: Int

    /// Number of columns of a slice.
    public let columns: Int

    /// Number of windows, one around each slice of the volume.
    public let windows: Int

    /// The order of axes that makes the plane's slices contiguous.
    let permutation: AxisPermutation

    /// The layout of a volume's slices.
    ///
    /// - Parameters:
    ///   - plane: the plane of the slices.
    ///   - radius: N.
    ///   - grid: the grid of the volume.
    ///   - windowsShareSlices: whether windows share their slices.
    public init(plane: SlicePlane, radius: Int, of grid: VoxelGrid, windowsShareSlices: Bool) {
        permutation = plane.permutation(for: grid)
        columns = grid.shape[permutation.sources[0]]
        rows = grid.shape[permutation.sources[1]]
        windows = grid.shape[permutation.sources[2]]
        (self.plane, self.radius, self.grid) = (plane, radius, grid)
        self.windowsShareSlices = windowsShareSlices
    }

    var slicesPerWindow: Int { 2 * radius + 1 }
    var voxelsPerSlice: Int { rows * columns }
    var slices: Int { windowsShareSlices ? windows + 2 * radius : windows * slicesPerWindow }
    var count: Int { slices * voxelsPerSlice }
    /// Slices from the start of one window to the start of the next.
    var windowStride: Int { windowsShareSlices ? 1 : slicesPerWindow }

    /// The layout in which windows share their slices.
    var shared: SliceLayout {
        SliceLayout(plane: plane, radius: radius, of: grid, windowsShareSlices: true)
    }

    /// The slice of the shared layout that belongs to a slice of this one.
    func sharedSlice(of slice: Int) -> Int {
        windowsShareSlices ? slice : slice / slicesPerWindow + slice % slicesPerWindow
    }

    /// The slice that a window has at a position.
    func slice(window: Int, position: Int) -> Int { window * windowStride + position }

    /// Where a slice's voxels lie.
    func voxels(ofSlice slice: Int) -> Range<Int> { slice * voxelsPerSlice..<(slice + 1) * voxelsPerSlice }
}

extension SliceLayout: Codable, CustomStringConvertible {
    private enum CodingKeys: String, CodingKey {
        case shape, affine, plane, radius
        case windowsShareSlices = "windows_share_slices"
    }

    /// Decodes a layout.
    ///
    /// - Throws: `DecodingError` where there can be no such grid.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        let shape = try fields.decode([Int].self, forKey: .shape)
        let rows = try fields.decode([[Double]].self, forKey: .affine)
        let radius = try fields.decode(Int.self, forKey: .radius)
        // The radius multiplies the slices by 2^11 at most.
        guard shape.count == 3, shape.allSatisfy({ $0 > 0 }),
            shape.reduce(1, { $0 * Double($1) }) <= 0x1p48, (0...1 << 10).contains(radius),
            rows.count == 3, rows.allSatisfy({ $0.count == 4 && $0.allSatisfy(\.isFinite) }),
            case let affine = Affine(rows: SIMD4(rows[0]), SIMD4(rows[1]), SIMD4(rows[2])),
            affine.inverse != nil
        else {
            throw DecodingError.dataCorruptedError(
                forKey: .shape, in: fields, debugDescription: "no grid has this shape, affine and radius")
        }
        self.init(
            plane: try fields.decode(SlicePlane.self, forKey: .plane), radius: radius,
            of: VoxelGrid(shape: SIMD3(shape), affine: affine),
            windowsShareSlices: try fields.decode(Bool.self, forKey: .windowsShareSlices))
    }

    /// Encodes the layout.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode([grid.shape.x, grid.shape.y, grid.shape.z], forKey: .shape)
        try fields.encode(grid.affine.rows.map { row in (0..<4).map { row[$0] } }, forKey: .affine)
        try fields.encode(plane, forKey: .plane)
        try fields.encode(radius, forKey: .radius)
        try fields.encode(windowsShareSlices, forKey: .windowsShareSlices)
    }

    /// Slices, plane, windows and affine.
    public var description: String {
        let affine = grid.affine.rows.map { row in (0..<4).map { "\(row[$0])" }.joined(separator: " ") }
        return "\(windows) \(plane.rawValue) slices of \(columns) x \(rows) voxels, "
            + "\(radius) more at both ends\(windowsShareSlices ? "" : ", each window apart"), affine "
            + affine.joined(separator: "; ")
    }
}
