import SliceSampling
import TestSupport
import Testing

/// A run step by step may be left anywhere and in any way. What it held is released, and nothing goes on behind it.
///
/// Run under AddressSanitizer and ThreadSanitizer (`make sanitize`) these tests look for memory that is used after it
/// was released.
struct LeavingStatesTests {
    private struct Failure: Error {}

    private static let repetitions = 200
    private static let steps = 4

    /// A run whose denoiser counts its calls, and is suspended within each: leaving meets tasks that are at work.
    private let calls = Counter()

    private func states() throws -> SamplingStates<CoPrediction<ClosureDenoiser>> {
        let sampler = SliceSampler(
            scheduler: Scheduler(BrownianBridge(), steps: Self.steps),
            denoiser: ClosureDenoiser { [calls] windows, _ in
                calls.increment()
                await Task.yield()
                return [Float](repeating: 0.5, count: windows.count * windows.valuesPerWindow)
            }, corrector: ScoreCorrector(), batchSize: 2, batchesInFlight: 2)
        return try sampler.states(from: Volume(grid: VoxelGrid(shape: [8, 8, 6])))
    }

    /// Leaves `repetitions` runs at each of the first states, and expects no call of a denoiser after that.
    private func leave(_ body: (_ step: Int) async throws -> Void) async throws {
        for repetition in 0..<Self.repetitions {
            try await body(1 + repetition % (Self.steps - 1))
            let callsMade = calls.value
            await Task.yield()
            try #require(calls.value == callsMade)
        }
    }

    @Test func byReturning() async throws {
        func estimate(after step: Int) async throws -> Volume? {
            for try await state in try states() where state.stepsMade == step { return state.estimate.volume }
            return nil
        }
        try await leave { step in
            let estimate = try #require(try await estimate(after: step))
            try #require(estimate.voxels.allSatisfy { $0 == 0.5 })
        }
    }

    @Test func byBreaking() async throws {
        try await leave { step in
            var last: SamplingState<SliceStack>?
            for try await state in try states() {
                last = state
                if state.stepsMade == step { break }
            }
            try #require(last?.stepsMade == step)
        }
    }

    @Test func byThrowing() async throws {
        try await leave { step in
            await #expect(throws: Failure.self) {
                for try await state in try states() where state.stepsMade == step { throw Failure() }
            }
        }
    }

    @Test func byCancellation() async throws {
        try await leave { step in
            let states = try states()
            let task = Task {
                for try await state in states where state.stepsMade == step {
                    withUnsafeCurrentTask { $0?.cancel() }
                }
            }
            await #expect(throws: CancellationError.self) { try await task.value }
        }
    }

    @Test func byDroppingTheIterator() async throws {
        try await leave { step in
            var iterator = try Optional(states().makeAsyncIterator())
            var last: SamplingState<SliceStack>?
            for _ in 0..<step { last = try await iterator?.next() }
            iterator = nil
            try #require(last?.stepsMade == step && last?.estimate.volume[0, 0, 0] == 0.5)
        }
    }
}
// x
