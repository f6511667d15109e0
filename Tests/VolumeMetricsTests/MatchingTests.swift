import Foundation
import StyleKeys
import TestSupport
import Testing
import VolumeMetrics
import Volumes

struct GridAlignmentTests {
    @Test func storedAxesAreReordered() async {
        await checkLaw(cases: 30) { generator in
            let volume = Volume.random(
                shape: [generator.size(in: 1...6), generator.size(in: 1...6), generator.size(in: 1...6)],
                spacing: [1, 2, 3], using: &generator)
            let order = AxisPermutation(
                sources: [0, 1, 2].shuffled(using: &generator),
                isReversed: (0..<3).map { _ in Bool.random(using: &generator) })
            try #require(try GridAlignment.aligned(volume.permuted(order), onto: volume.grid) == volume)
        }
    }

    @Test func aHundredthOfAVoxelIsAllowed() throws {
        let volume = Volume(grid: VoxelGrid(shape: [4, 4, 4], spacing: [2, 2, 2]), repeating: 1)
        func moved(by distance: Double) -> Volume {
            var affine = volume.grid.affine
            affine.translation.x += distance
            return Volume(grid: VoxelGrid(shape: volume.shape, affine: affine), voxels: volume.voxels)
        }
        #expect(try GridAlignment.aligned(moved(by: 0.019), onto: volume.grid) == volume)
        let error = #expect(throws: MisalignedError.self) {
            try GridAlignment.aligned(moved(by: 0.021), onto: volume.grid, name: "the mask")
        }
        #expect(error?.localizedDescription.contains("the mask is not on the reference's grid") == true)
        #expect(error?.description.contains("up to 0.021 mm") == true)
    }
}

struct IntensityMatchingTests {
    @Test func undoesWhatItIsFor() async throws {
        await checkLaw(cases: 20) { generator in
            let grid = VoxelGrid(shape: [8, 8, 8])
            let reference = Volume(
                grid: grid, voxels: generator.floats(512, in: 0...900).map { max(0, $0 - 300) })
            func error(_ match: IntensityMatching, _ changed: Volume) throws -> Double {
                try RMSE()(match(changed, to: reference), against: reference)
            }
            try #require(try error(.scale, reference.map { $0 / 600 }) < 1e-3)
            try #require(try error(.range, reference.map { $0 / 300 - 1 }) < 1e-3)
            try #require(try error(.key, reference.map { ($0 / 600).squareRoot() }) < 1)
            try #require(try error(.none, reference) == 0)
        }
        let flat = Volume(grid: VoxelGrid(shape: [2, 2, 2]), repeating: 3)
        #expect(throws: MetricError.self) { try IntensityMatching.range(flat, to: flat.map { _ in 1 }) }
    }

    @Test func differentUnitsAreNamed() throws {
        func facts(_ p: ClosedRange<Float>, _ r: ClosedRange<Float>) throws -> String? {
            let grid = VoxelGrid(shape: [2, 1, 1])
            return try PairFacts(
                of: Volume(grid: grid, voxels: [p.lowerBound, p.upperBound]),
                against: Volume(grid: grid, voxels: [r.lowerBound, r.upperBound])
            ).differenceOfUnits
        }
        #expect(try facts(0...1, 0...954.8)?.contains("from 0 to 954.8") == true)
        #expect(try facts(-1...1, 0...1) != nil)
        #expect(try facts(0...1, 0...0.9) == nil)
        #expect(try facts(-0.1...1.4, 0...1) == nil)
    }
}

struct KeyDistanceTests {
    @Test func agreeWithTheKeysOwnDistance() throws {
        let grid = VoxelGrid(shape: [10, 10, 10])
        var generator = SeededGenerator(seed: 3)
        let keys = try (0..<2).map { power in
            try StyleKey(
                of: Volume(
                    grid: grid, voxels: generator.floats(1000, in: 0...1).map { power == 0 ? $0 : $0 * $0 }))
        }
        let distance = try HistogramDistance(.wasserstein).between(keys[0], keys[1])
        #expect(abs(distance - (try keys[0].distance(to: keys[1]))) < 1e-5)
        for kind in HistogramDistance.Kind.allCases {
            let metric = HistogramDistance(kind)
            #expect(try metric.between(keys[0], keys[0]) < 1e-12)
            #expect(try metric.between(keys[0], keys[1]) == metric.between(keys[1], keys[0]))
        }
        #expect(throws: StyleKeyError.binsDiffer(128, 64)) {
            try HistogramDistance(.chiSquare).between(
                keys[0], StyleKey(of: Volume(grid: grid, voxels: generator.floats(1000)), bins: 64))
        }
    }
}
