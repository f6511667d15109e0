import TestSupport
import Testing
import Volumes

@Suite struct VolumeTests {
    /// Larger alignments break the frames of asynchronous functions: see `Packed3`.
    @Test func nothingStoredIsAlignedToMoreThan16Bytes() {
        #expect(MemoryLayout<Volume>.alignment <= 16)
        #expect(MemoryLayout<Affine>.alignment <= 16)
    }

    @Test func slicesAreViewsOfTheirVoxels() async {
        await checkLaw { generator in
            let volume = generator.volume()
            for z in 0..<volume.shape.z {
                let slice = volume.slice(z)
                try #require(slice.count == volume.shape.x * volume.shape.y)
                var index = slice.startIndex
                for y in 0..<volume.shape.y {
                    for x in 0..<volume.shape.x {
                        try #require(slice[index] == volume[x, y, z])
                        index += 1
                    }
                }
            }
            let first = Int.random(in: 0..<volume.shape.z, using: &generator)
            let run = volume.slices(first..<volume.shape.z)
            try #require(Array(run) == (first..<volume.shape.z).flatMap { volume.slice($0) })
        }
        let volume = Volume(grid: VoxelGrid(shape: [8, 8, 8]), repeating: 1)
        let start = volume.voxels.withUnsafeBufferPointer { $0.baseAddress! }
        let slice = volume.slice(3).withUnsafeBufferPointer { $0.baseAddress! }
        #expect(slice == start + 3 * 64)
    }

    @Test func copiesAreValues() {
        let original = Volume(grid: VoxelGrid(shape: [2, 2, 2]), repeating: 1)
        var copy = original
        #expect(copy == original)
        let slice = copy.slice(1)
        copy[1, 1, 1] = 5
        #expect(original[1, 1, 1] == 1 && copy[1, 1, 1] == 5 && copy.voxels[7] == 5)
        #expect(slice.last == 1)
        #expect(copy != original)
    }

    @Test func aChangeInPlaceDoesNotCopy() {
        var volume = Volume(grid: VoxelGrid(shape: [16, 16, 16]))
        let before = volume.voxels.withUnsafeBufferPointer { $0.baseAddress! }
        for index in 0..<16 { volume[index, index, index] += 1 }
        #expect(volume.voxels.withUnsafeBufferPointer { $0.baseAddress! } == before)
        #expect(volume.voxels.reduce(0, +) == 16)
    }

    @Test func mapKeepsTheGrid() async {
        await checkLaw(cases: 20) { generator in
            let volume = generator.volume()
            let doubled = volume.map { $0 * 2 }
            try #require(doubled.grid == volume.grid && doubled.voxels == volume.voxels.map { $0 * 2 })
        }
    }

    @Test func intensityRangePassesOverNaN() {
        let grid = VoxelGrid(shape: [4, 1, 1])
        #expect(Volume(grid: grid, voxels: [3, .nan, -2, 1]).intensityRange == -2...3)
        #expect(Volume(grid: grid, repeating: .nan).intensityRange == 0...0)
        #expect(Volume(grid: grid, repeating: 7).intensityRange == 7...7)
    }
}

struct IntensityConventionTests {
    @Test func networksSeeTheUnitRangeFromMinusOneToOne() {
        let volume = Volume(grid: VoxelGrid(shape: [3, 1, 1]), voxels: [0, 0.25, 1])
        let scaled = volume.scaledToNetworkRange()
        #expect(scaled.voxels == [IntensityConvention.networkBackground, -0.5, 1])
        #expect(scaled.scaledToUnitRange() == volume)
    }
}

struct DescriptionTests {
    private let grid = VoxelGrid(
        shape: [91, 109, 91],
        affine: Affine(columns: [-2, 0, 0], [0, 2, 0], [0, 0, 2.25], translation: [90, -126, -72.5]))

    @Test func aGridIsOneLine() {
        #expect("\(grid)" == "91 x 109 x 91 voxels of 2 x 2 x 2.25 mm, LAS")
    }

    @Test func anAffineIsATable() {
        #expect(
            "\(grid.affine)" == """
                -2  0     0     90
                 0  2     0   -126
                 0  0  2.25  -72.5
                """)
    }

    @Test func aVolumeIsOneLineAndNotItsVoxels() {
        var volume = Volume(grid: grid)
        volume[1, 2, 3] = 1 / 3
        let text = "91 x 109 x 91 voxels of 2 x 2 x 2.25 mm, LAS, intensities 0 to 0.333333"
        #expect("\(volume)" == text)
        #expect(String(reflecting: volume) == text)
        var dumped = ""
        dump(volume, to: &dumped)
        #expect(dumped.count < 3000, "\(dumped)")
    }
}
