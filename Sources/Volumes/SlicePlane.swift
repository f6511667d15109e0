/// The plane in which a volume is cut into slices.
public enum SlicePlane: String, CaseIterable, Sendable, Codable {
    /// Slices from feet to head.
    case axial
    /// Slices from back to front.
    case coronal
    /// Slices from side to side.
    case sagittal

    /// The world axis that the slices are stacked along: 0 right-left, 1 front-back, 2 head-feet.
    public var worldAxis: Int {
        switch self {
        case .axial: 2
        case .coronal: 1
        case .sagittal: 0
        }
    }

    /// The order of axes that makes this plane's slices contiguous: the voxel axis nearest to the plane's
    /// normal comes last, the other two keep their order and become columns and rows.
    ///
    /// In a RAS grid the (columns, rows, slices) are (x, y, z) for axial slices, (x, z, y) for coronal and
    /// (y, z, x) for sagittal ones.
    public func permutation(for grid: VoxelGrid) -> AxisPermutation {
        let normal = grid.orientation.voxelAxis(onWorldAxis: worldAxis)
        return AxisPermutation(sources: [0, 1, 2].filter { $0 != normal } + [normal])
    }
}
