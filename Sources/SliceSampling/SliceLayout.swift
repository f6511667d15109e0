import DiffusionSampling
public import Volumes

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
