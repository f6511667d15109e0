import SliceSampling
import TestSupport
import Testing

struct AggregationTests {
    @Test func predictionsThatAgreeAreLeftAsTheyAre() async {
        await checkLaw(cases: 500) { generator in
            let source = Volume.random(shape: generator.shape(), using: &generator)
            // The source is every window's prediction for x_0, so that all windows agree.
            let sampler = SliceSampler(
                scheduler: Scheduler(BrownianBridge(), timesteps: [500]),
                denoiser: ClosureDenoiser(radius: generator.size(in: 0...5)) { windows, _ in
                    (0..<windows.count).flatMap { Array(windows.source($0)) }
                }, aggregation: Bool.random(using: &generator) ? generator.aggregation() : nil)
            let result = try await sampler.sample(from: source)
            for (value, expected) in zip(result.voxels, source.voxels) {
                try #require(abs(value - expected) <= expected.ulp)
            }
        }
    }

    @Test func weightsAreThoseOfThePositionsAndSumToOne() async {
        await checkLaw(cases: 300) { generator in
            let (slices, radius) = (generator.size(in: 1...9), generator.size(in: 0...5))
            let aggregation = generator.aggregation()
            var sums = [Float](repeating: 0, count: slices)
            for window in 0..<slices {
                // This window predicts one, the others zero: what arrives is its weight.
                let sampler = SliceSampler(
                    scheduler: Scheduler(BrownianBridge(), timesteps: [500]),
                    denoiser: ClosureDenoiser(radius: radius) { windows, _ in
                        windows.indices.flatMap {
                            [Float](repeating: $0 == window ? 1 : 0, count: windows.valuesPerWindow)
                        }
                    }, aggregation: aggregation)
                let found = try await sampler.sample(from: Volume(grid: VoxelGrid(shape: [1, 1, slices])))
                let weights = aggregation.weights(radius: radius)
                for slice in 0..<slices {
                    func weight(_ window: Int) -> Float {
                        abs(slice - window) <= radius ? weights[slice - window + radius] : 0
                    }
                    let total = (0..<slices).map(weight).reduce(0, +)
                    let expected = total > 0 ? weight(window) / total : slice == window ? 1 : 0
                    try #require(found.voxels[slice] >= 0 && abs(found.voxels[slice] - expected) < 1e-6)
                    sums[slice] += found.voxels[slice]
                }
            }
            try #require(sums.allSatisfy { abs($0 - 1) < 1e-6 })
        }
    }

    /// Every window predicts its own index for all of its slices.
    private func sampleIndices(slices: Int, radius: Int, _ aggregation: any SliceAggregation) async throws
        -> [Float]
    {
        let sampler = SliceSampler(
            scheduler: Scheduler(BrownianBridge(), timesteps: [500]),
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

    @Test func weightsFallFromTheMiddle() {
        #expect(WeightedAggregation.triangular.weights(radius: 2) == [1, 2, 3, 2, 1])
        let gaussian = WeightedAggregation.gaussian(deviation: 2).weights(radius: 2)
        for (weight, expected) in zip(gaussian, [0.6065307, 0.8824969, 1, 0.8824969, 0.6065307] as [Float]) {
            #expect(abs(weight - expected) < 1e-6)
        }
    }

    @Test func aSliceWithoutWeightTakesTheNearestWindow() async throws {
        // Only the outermost slices of a window count, and with one window there are none in the volume.
        let outermost = WeightedAggregation { distance, radius in distance == radius ? 1 : 0 }
        #expect(try await sampleIndices(slices: 1, radius: 2, outermost) == [0])
        #expect(try await sampleIndices(slices: 3, radius: 2, outermost) == [2, 1, 0])
    }
}
