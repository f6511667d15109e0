import TestSupport
import Testing
import Volumes

@Suite struct AffineTests {
    @Test func inverseUndoes() async {
        await checkLaw { generator in
            let affine = generator.affine()
            let inverse = try #require(affine.inverse)
            let point = generator.vector(-200...200)
            try #require(distance(inverse(affine(point)), point) < 1e-9)
            try #require(distance(affine(inverse(point)), point) < 1e-9)
            let identity = Affine(spacing: .one)
            try #require(inverse.after(affine).largestDifference(from: identity) < 1e-10)
            try #require(affine.after(inverse).largestDifference(from: identity) < 1e-10)
        }
    }

    @Test func afterAppliesTheInnerFirst() async {
        await checkLaw { generator in
            let (outer, inner) = (generator.affine(), generator.affine())
            let point = generator.vector(-50...50)
            try #require(distance(outer.after(inner)(point), outer(inner(point))) < 1e-9)
        }
    }

    @Test func rowsAreThoseOfTheMatrix() async {
        let affine = Affine(rows: [1, 2, 3, 4], [0, 5, 6, 7], [0, 0, 8, 9])
        #expect(affine.columns.y == [2, 5, 0] && affine.translation == [4, 7, 9])
        #expect(affine([1, 1, 1]) == [10, 18, 17])
        await checkLaw { generator in
            let affine = generator.affine()
            let rows = affine.rows
            try #require(Affine(rows: rows[0], rows[1], rows[2]) == affine)
        }
    }

    @Test func spacingIsTheStepsLength() {
        let affine = Affine(columns: [0, 3, 4], [-2, 0, 0], [0, 0, 0.5])
        #expect(affine.spacing == [5, 2, 0.5])
        #expect(Affine(spacing: [1, 2, 3]).spacing == [1, 2, 3])
    }

    @Test func axesThatDoNotSpanSpaceHaveNoInverse() {
        #expect(Affine(columns: [1, 0, 0], [0, 1, 0], [1, 1, 0]).inverse == nil)
        #expect(Affine(columns: [1, 0, 0], [0, 0, 0], [0, 0, 1]).inverse == nil)
        #expect(Affine(columns: [.nan, 0, 0], [0, 1, 0], [0, 0, 1]).inverse == nil)
        #expect(Affine(columns: [1, 0, 0], [1, 1e-9, 0], [0, 0, 1]).inverse == nil)
        // Small voxels span space as well as large ones.
        #expect(Affine(spacing: SIMD3(repeating: 1e-5)).inverse != nil)
    }
}

@Suite struct VoxelGridTests {
    @Test func worldAndVoxelPositionsUndoOneAnother() async {
        await checkLaw { generator in
            let grid = VoxelGrid(shape: generator.shape(1...300), affine: generator.affine())
            let voxel = generator.vector(-10...300)
            try #require(distance(grid.voxel(atWorld: grid.world(atVoxel: voxel)), voxel) < 1e-9)
        }
    }

    @Test func matchesWithinAHundredthOfAVoxel() {
        let grid = VoxelGrid(shape: [100, 100, 100], spacing: [1, 2, 3])
        func shifted(_ millimetres: Double) -> VoxelGrid {
            VoxelGrid(shape: grid.shape, affine: Affine(spacing: [1, 2, 3], translation: [0, millimetres, 0]))
        }
        #expect(grid.matches(grid) && grid.distance(to: grid) == 0)
        #expect(grid.matches(shifted(0.0099)) && !grid.matches(shifted(0.0101)))
        #expect(abs(grid.distance(to: shifted(0.02)) - 0.02) < 1e-12)
        // A small error of spacing adds up towards the far corner.
        #expect(grid.matches(VoxelGrid(shape: grid.shape, spacing: [1.00009, 2, 3])))
        #expect(!grid.matches(VoxelGrid(shape: grid.shape, spacing: [1.00011, 2, 3])))
        #expect(!grid.matches(VoxelGrid(shape: [100, 100, 99], spacing: [1, 2, 3])))
        #expect(
            shifted(0.5).difference(from: grid)
                == "found 100 x 100 x 100 voxels of 1 x 2 x 3 mm, RAS; expected 100 x 100 x 100 voxels of 1 x 2 x 3 mm, "
                + "RAS; they are up to 0.5 mm apart, and at most 0.01 mm, 1% of a voxel, is allowed")
    }

    @Test func theDistanceBoundsThatOfEveryVoxel() async {
        await checkLaw { generator in
            let shape = generator.shape(1...30)
            let (one, other) = (
                VoxelGrid(shape: shape, affine: generator.affine()),
                VoxelGrid(shape: shape, affine: generator.affine())
            )
            let voxel = SIMD3<Double>(shape) * generator.vector(0...1) - 0.5
            let apart = one.world(atVoxel: voxel) - other.world(atVoxel: voxel)
            try #require((apart * apart).sum().squareRoot() <= one.distance(to: other) + 1e-9)
            try #require(one.distance(to: other) == other.distance(to: one))
        }
    }

    @Test func offsetsCountUpWithXFastest() {
        let grid = VoxelGrid(shape: [3, 4, 5])
        var offset = 0
        for z in 0..<5 {
            for y in 0..<4 {
                for x in 0..<3 {
                    #expect(grid.offset(x, y, z) == offset)
                    offset += 1
                }
            }
        }
        #expect(offset == grid.count)
    }
}
