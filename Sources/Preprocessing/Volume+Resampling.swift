import Volumes

extension Volume {
    /// The volume interpolated linearly at the voxels of another grid.
    ///
    /// A voxel is a box: a point up to half a voxel beyond the outermost centres takes the intensity at the
    /// edge. Farther out it takes `outside`.
    ///
    /// - Complexity: O(n) in the voxels of the new grid.
    public func resampled(onto target: VoxelGrid, outside: Float = 0) -> Volume {
        let toVoxel = grid.inverseAffine.after(target.affine)
        let last = SIMD3<Double>(shape &- 1)
        let strides = SIMD3(1, shape.x, shape.x * shape.y)
        let step = toVoxel.columns.x
        let resampledVoxels = voxels.withUnsafeBufferPointer { old in
            [Float](unsafeUninitializedCapacity: target.count) { new, count in
                for z in 0..<target.shape.z {
                    for y in 0..<target.shape.y {
                        let row = target.offset(0, y, z)
                        let start = toVoxel(SIMD3(0, Double(y), Double(z)))
                        for x in 0..<target.shape.x {
                            let position = start + Double(x) * step
                            new[row + x] =
                                interpolate(old, at: position, last: last, strides: strides) ?? outside
                        }
                    }
                }
                count = target.count
            }
        }
        return Volume(grid: target, voxels: resampledVoxels)
    }
}

/// The trilinear interpolation at a voxel position, or `nil` more than half a voxel outside.
@inline(__always)
private func interpolate(
    _ voxels: UnsafeBufferPointer<Float>, at position: SIMD3<Double>, last: SIMD3<Double>,
    strides: SIMD3<Int>
) -> Float? {
    // Half a voxel, and what rounding of the affines may add to it.
    let reach = 0.5 + 1e-6
    guard all(position .>= -reach), all(position .<= last + reach) else { return nil }
    let inside = position.clamped(lowerBound: .zero, upperBound: last)
    let corner = inside.rounded(.down)
    let fraction = SIMD3<Float>(inside - corner)
    let offset = (SIMD3<Int>(corner) &* strides).wrappedSum()
    // On the last voxel of an axis there is no next one, and its weight is zero.
    let next = strides.replacing(with: 0, where: SIMD3<Int>(corner) .>= SIMD3<Int>(last))
    func line(_ start: Int) -> Float { voxels[start] + fraction.x * (voxels[start + next.x] - voxels[start]) }
    func plane(_ start: Int) -> Float {
        let low = line(start)
        return low + fraction.y * (line(start + next.y) - low)
    }
    let low = plane(offset)
    return low + fraction.z * (plane(offset + next.z) - low)
}
