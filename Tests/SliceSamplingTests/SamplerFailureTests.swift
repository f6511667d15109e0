import SliceSampling
import TestSupport
import Testing

/// Progress, cancellation, and denoisers that misbehave.
struct SamplerFailureTests {
    private let source = Volume(grid: VoxelGrid(shape: [4, 4, 6]))

    private func sampler(
        _ body: @escaping @Sendable (SliceWindows, Int) async throws -> [Float]
    ) -> SliceSampler<ClosureDenoiser> {
        SliceSampler(scheduler: BrownianBridge(steps: 5), denoiser: ClosureDenoiser(body: body))
    }

    @Test func aPredictionOfTheWrongSizeIsNamed() async {
        let error = SamplingError.predictionSize(found: 7, expected: 4 * 3 * 16, windows: 0..<4, timestep: 999)
        await #expect(throws: error) {
            try await sampler { _, _ in [Float](repeating: 0, count: 7) }.sample(from: source)
        }
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity])
    func aPredictionThatIsNotFiniteIsNamed(value: Float) async {
        let sampler = sampler { windows, t in
            var prediction = [Float](repeating: 0, count: windows.count * windows.valuesPerWindow)
            // Window 4 is the first of its batch; the last of its three slices is slice 5 of the volume.
            if windows.indices.contains(4), t < 500 { prediction[2 * 16 + 3] = value }
            return prediction
        }
        await #expect(throws: SamplingError.predictionNotFinite(window: 4, slice: 5, timestep: 333)) {
            try await sampler.sample(from: source)
        }
    }

    @Test func whatADenoiserThrowsIsPassedOn() async {
        struct Failure: Error {}
        await #expect(throws: Failure.self) {
            try await sampler { _, _ in throw Failure() }.sample(from: source)
        }
    }

    @Test func cancellationEndsTheRun() async throws {
        let sampler = sampler { windows, _ in
            try await Task.sleep(for: .milliseconds(20))
            return [Float](repeating: 0, count: windows.count * windows.valuesPerWindow)
        }
        let source = source
        let task = Task { try await sampler.sample(from: source) }
        try await Task.sleep(for: .milliseconds(30))
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test func progressCountsEveryWindow() async throws {
        let recorder = Recorder()
        var sampler = sampler { windows, _ in
            [Float](repeating: 0, count: windows.count * windows.valuesPerWindow)
        }
        sampler.corrector = ScoreCorrector(steps: 2)
        _ = try await sampler.sample(from: source) { recorder.append($0) }
        let reports = recorder.reports
        // S + (S - 1) M evaluations of six windows.
        #expect(reports.last?.windowsEvaluated == (5 + 4 * 2) * 6)
        #expect(reports.allSatisfy { $0.windowsInAll == (5 + 4 * 2) * 6 && $0.steps == 5 })
        #expect(zip(reports, reports.dropFirst()).allSatisfy { $0.windowsEvaluated < $1.windowsEvaluated })
        #expect(reports.first?.step == 1 && reports.last?.step == 5)
    }
}
