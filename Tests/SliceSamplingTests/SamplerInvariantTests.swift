import SliceSampling
import TestSupport
import Testing

/// A sampler whose parts do not fit together stops before it samples, however it came to be.
struct SamplerInvariantTests {
    static func sample(_ change: (inout SliceSampler<MixingDenoiser>) -> Void) async throws {
        var sampler = SliceSampler(
            scheduler: Scheduler(BrownianBridge(), steps: 3), denoiser: MixingDenoiser(radius: 1),
            corrector: ScoreCorrector())
        change(&sampler)
        _ = try await sampler.sample(from: Volume(grid: VoxelGrid(shape: [4, 4, 3]), repeating: 0.5))
    }

    @Test func partsThatFitAreSampled() async throws {
        try await Self.sample { $0.batchSize = 2 }
    }

    @Test func aCorrectorNeedsAnAggregation() async {
        await #expect(processExitsWith: .failure) {
            try await SamplerInvariantTests.sample { $0.aggregation = nil }
        }
    }

    @Test func aBatchNeedsAWindow() async {
        await #expect(processExitsWith: .failure) {
            try await SamplerInvariantTests.sample { $0.batchSize = 0 }
        }
    }
}
