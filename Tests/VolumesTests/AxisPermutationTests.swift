import TestSupport
import Testing
import Volumes

@Suite struct AxisPermutationTests {
    @Test(arguments: AxisPermutation.all)
    func keepsEachVoxelAtItsPlaceInTheWorld(order: AxisPermutation) async {
        await checkLaw(cases: 10) { generator in
            let volume = generator.volume()
            let permuted = volume.permuted(order)
            try #require(permuted.grid == volume.grid.permuted(order))
            var values = Set<Float>()
            for z in 0..<permuted.shape.z {
                for y in 0..<permuted.shape.y {
                    for x in 0..<permuted.shape.x {
                        let world = permuted.grid.world(atVoxel: SIMD3(Double(x), Double(y), Double(z)))
                        let old = volume.grid.voxel(atWorld: world)
                        let nearest = old.rounded(.toNearestOrEven)
                        try #require(distance(old, nearest) < 1e-6)
                        let value = permuted[x, y, z]
                        try #require(volume[Int(nearest.x), Int(nearest.y), Int(nearest.z)] == value)
                        values.insert(value)
                    }
                }
            }
            try #require(values == Set(volume.voxels))
        }
    }

    @Test(arguments: AxisPermutation.all)
    func inverseUndoes(order: AxisPermutation) async {
        #expect(order.inverse.inverse == order)
        await checkLaw(cases: 10) { generator in
            // Extents above 32 take more than one block of the transpose.
            let volume = generator.volume(1...40)
            let back = volume.permuted(order).permuted(order.inverse)
            try #require(back.voxels == volume.voxels)
            try #require(back.grid.shape == volume.shape && back.grid.distance(to: volume.grid) < 1e-9)
        }
    }

    @Test func takesAVolumeFromAnyOrientationToAnyOther() async {
        await checkLaw(cases: 20) { generator in
            let volume = generator.volume()
            for target in Orientation.all {
                let order = AxisPermutation(from: volume.grid.orientation, to: target)
                try #require(volume.permuted(order).grid.orientation == target)
            }
            let own = volume.grid.orientation
            try #require(AxisPermutation(from: own, to: own) == .identity)
        }
    }

    @Test func theIdentityKeepsTheStorage() {
        let volume = Volume(grid: VoxelGrid(shape: [4, 4, 4]), repeating: 1)
        let same = volume.permuted(.identity)
        #expect(
            volume.voxels.withUnsafeBufferPointer { $0.baseAddress }
                == same.voxels.withUnsafeBufferPointer { $0.baseAddress })
    }
}

@Suite struct SlicePlaneTests {
    @Test(arguments: [
        ("RAS", SlicePlane.axial, [0, 1, 2]), ("RAS", .coronal, [0, 2, 1]), ("RAS", .sagittal, [1, 2, 0]),
        ("RPS", .axial, [0, 1, 2]), ("RPS", .coronal, [0, 2, 1]), ("RPS", .sagittal, [1, 2, 0]),
        ("PIR", .axial, [0, 2, 1]), ("PIR", .coronal, [1, 2, 0]), ("PIR", .sagittal, [0, 1, 2]),
        ("SLA", .axial, [1, 2, 0]), ("SLA", .coronal, [0, 1, 2]), ("SLA", .sagittal, [0, 2, 1]),
    ])
    func makesItsSlicesContiguous(code: String, plane: SlicePlane, sources: [Int]) throws {
        let ras = Volume(grid: VoxelGrid(shape: [3, 4, 5], spacing: [1, 2, 3]))
        let volume = ras.permuted(AxisPermutation(from: .ras, to: try #require(Orientation(code: code))))
        let order = plane.permutation(for: volume.grid)
        #expect(order == AxisPermutation(sources: sources))
        let sliced = volume.permuted(order)
        #expect(sliced.shape.z == ras.shape[plane.worldAxis])
        #expect(sliced.grid.orientation.directions[2].worldAxis == plane.worldAxis)
    }

    @Test func anObliqueGridGoesToTheNearestPlane() async {
        await checkLaw { generator in
            let grid = VoxelGrid(shape: generator.shape(1...9), affine: generator.affine())
            for plane in SlicePlane.allCases {
                let sliced = grid.permuted(plane.permutation(for: grid))
                try #require(sliced.orientation.directions[2].worldAxis == plane.worldAxis)
            }
        }
    }
}
