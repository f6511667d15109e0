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

    /// The error that a run ends with.
    private func failure(of sampler: SliceSampler<ClosureDenoiser>) async -> SamplingError? {
        do { _ = try await sampler.sample(from: source) } catch { return error as? SamplingError }
        return nil
    }

    @Test func aPredictionOfTheWrongSizeIsNamed() async throws {
        let error = try #require(await failure(of: sampler { _, _ in [Float](repeating: 0, count: 7) }))
        #expect(error.step == 1 && error.timestep == 999 && error.windows == 0..<4)
        guard case .predictionSize(found: 7, expected: 192) = error.reason else {
            Issue.record("\(error)")
            return
        }
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity])
    func aPredictionThatIsNotFiniteIsNamed(value: Float) async throws {
        let sampler = sampler { windows, t in
            var prediction = [Float](repeating: 0, count: windows.count * windows.valuesPerWindow)
            // Window 4 is the first of its batch; the last of its three slices is slice 5 of the volume.
            if windows.indices.contains(4), t < 500 { prediction[2 * 16 + 3] = value }
            return prediction
        }
        let error = try #require(await failure(of: sampler))
        #expect(error.step == 3 && error.timestep == 333 && error.windows == 4..<6)
        guard case .predictionNotFinite(window: 4, slice: 5) = error.reason else {
            Issue.record("\(error)")
            return
        }
    }

    @Test func whatADenoiserThrowsIsPassedOnWithItsPlace() async throws {
        struct Failure: Error {}
        let error = try #require(
            await failure(
                of: sampler { windows, _ in
                    if windows.indices.contains(4) { throw Failure() }
                    return [Float](repeating: 0, count: windows.count * windows.valuesPerWindow)
                }))
        #expect(error.step == 1 && error.windows == 4..<6)
        guard case .denoiser(is Failure) = error.reason else {
            Issue.record("\(error)")
            return
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
