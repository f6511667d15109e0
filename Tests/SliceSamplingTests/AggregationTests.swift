import SliceSampling
import TestSupport
import Testing

struct AggregationTests {
    @Test func predictionsThatAgreeAreLeftAsTheyAre() async {
        await checkLaw(cases: 300) { generator in
            let slices = Int.random(in: 1...9, using: &generator)
            let radius = Int.random(in: 0...4, using: &generator)
            let source = Volume.random(shape: [3, 2, slices], using: &generator)
            let aggregation: any SliceAggregation = Bool.random(using: &generator) ? .mean : .middleSlice
            // The source is every window's prediction for x_0, so that all windows agree.
            let sampler = SliceSampler(
                scheduler: BrownianBridge(timesteps: [500]),
                denoiser: ClosureDenoiser(radius: radius) { windows, _ in
                    (0..<windows.count).flatMap { Array(windows.source($0)) }
                }, aggregation: aggregation)
            let result = try await sampler.sample(from: source)
            for (value, expected) in zip(result.voxels, source.voxels) {
                try #require(abs(value - expected) <= expected.ulp)
            }
        }
    }

    /// Every window predicts its own index for all of its slices.
    private func sampleIndices(slices: Int, radius: Int, _ aggregation: any SliceAggregation) async throws
        -> [Float]
    {
        let sampler = SliceSampler(
            scheduler: BrownianBridge(timesteps: [500]),
            denoiser: ClosureDenoiser(radius: radius) { windows, _ in
                windows.indices.flatMap { [Float](repeating: Float($0), count: windows.valuesPerWindow) }
            }, aggregation: aggregation)
        return try await sampler.sample(from: Volume(grid: VoxelGrid(shape: [1, 1, slices]))).voxels
    }

    @Test func theMeanIsOverTheWindowsThatHoldASlice() async throws {
        // Slice 0 is in windows 0 and 1 (their mean 0.5), slice 1 in windows 0, 1 and 2, and so on.
        #expect(try await sampleIndices(slices: 5, radius: 1, .mean) == [0.5, 1, 2, 3, 3.5])
        // Fewer slices than a window holds: every window holds every slice.
        #expect(try await sampleIndices(slices: 2, radius: 2, .mean) == [0.5, 0.5])
    }

    @Test func theMiddleSliceIsThatOfItsOwnWindow() async throws {
        #expect(try await sampleIndices(slices: 5, radius: 2, .middleSlice) == [0, 1, 2, 3, 4])
    }
}
