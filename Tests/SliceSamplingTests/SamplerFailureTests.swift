import SliceSampling
import TestSupport
import Testing

/// Progress, cancellation, and denoisers that misbehave.
struct SamplerFailureTests {
    private let source = Volume(grid: VoxelGrid(shape: [4, 4, 6]))

    private func sampler(
        _ body: @escaping @Sendable (SliceWindows, Int) async throws -> [Float]
    ) -> SliceSampler<ClosureDenoiser> {
        // One batch after another, so that the last ones are no smaller.
        SliceSampler(
            scheduler: Scheduler(BrownianBridge(), steps: 5), denoiser: ClosureDenoiser(body: body),
            batchesInFlight: 1)
    }

    /// The error that a run ends with.
    private func failure(of sampler: SliceSampler<ClosureDenoiser>) async -> SliceSamplingError? {
        do { _ = try await sampler.sample(from: source) } catch { return error as? SliceSamplingError }
        return nil
    }

    @Test func aPredictionOfTheWrongSizeIsNamed() async throws {
        let error = try #require(await failure(of: sampler { _, _ in [Float](repeating: 0, count: 7) }))
        #expect(error.timestep == 999 && error.windows == 0..<4)
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
        #expect(error.timestep == 333 && error.windows == 4..<6)
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
        #expect(error.timestep == 999 && error.windows == 4..<6)
        guard case .denoiser(is Failure) = error.reason else {
            Issue.record("\(error)")
            return
        }
    }

    @Test func anyFailureIsNamedWhereverItHappens() async {
        struct Failure: Error {}
        await checkLaw(cases: 300) { generator in
            let slices = generator.size(in: 1...8)
            let (radius, batch) = (generator.size(in: 0...3), generator.size(in: 1...4))
            let inFlight = generator.size(in: 1...3)
            let scheduler = generator.scheduler()
            let step = Int.random(in: 0..<scheduler.timesteps.count, using: &generator)
            let window = Int.random(in: 0..<slices, using: &generator)
            let position = Int.random(in: 0..<2 * radius + 1, using: &generator)
            let kind = Int.random(in: 0..<3, using: &generator)
            let t = scheduler.timesteps[step]
            let denoiser = ClosureDenoiser(radius: radius) { windows, timestep in
                var prediction = [Float](repeating: 0, count: windows.count * windows.valuesPerWindow)
                guard timestep == t, windows.indices.contains(window) else { return prediction }
                if kind == 0 { throw Failure() }
                if kind == 1 { prediction.removeLast() }
                let start = (window - windows.indices.lowerBound) * windows.valuesPerWindow
                if kind == 2 { prediction[start + position * windows.rows * windows.columns] = .nan }
                return prediction
            }
            let sampler = SliceSampler(
                scheduler: scheduler, denoiser: denoiser,
                aggregation: Bool.random(using: &generator) ? generator.aggregation() : nil, batchSize: batch,
                batchesInFlight: inFlight)
            do {
                _ = try await sampler.sample(from: Volume(grid: VoxelGrid(shape: [3, 2, slices])))
                Issue.record("nothing was thrown")
            } catch let error as SliceSamplingError {
                try #require(error.timestep == t)
                if inFlight == 1 {
                    let first = window / batch * batch
                    try #require(error.windows == first..<min(first + batch, slices))
                } else {
                    // The last batches are smaller.
                    try #require(error.windows.contains(window) && error.windows.count <= batch)
                }
                switch error.reason {
                case .denoiser(let cause): try #require(kind == 0 && cause is Failure)
                case .predictionSize(let found, let expected):
                    try #require(kind == 1 && found == expected - 1)
                case .predictionNotFinite(let found, let slice):
                    try #require(kind == 2 && found == window && slice == window + position - radius)
                }
            }
        }
    }

    @Test func cancellationEndsTheRunWithinTheBatchesInFlight() async {
        await checkLaw(cases: 200) { generator in
            let calls = Counter()
            let last = Int.random(in: 1...20, using: &generator)
            var sampler = sampler { windows, _ in
                calls.increment()
                return [Float](repeating: 0, count: windows.count * windows.valuesPerWindow)
            }
            sampler.corrector = ScoreCorrector(steps: 1)
            sampler.batchSize = 2
            let (run, source) = (sampler, source)
            let task = Task {
                // The run reports in its own task.
                try await run.sample(from: source) { _ in
                    if calls.value >= last { withUnsafeCurrentTask { $0?.cancel() } }
                }
            }
            await #expect(throws: CancellationError.self) { try await task.value }
            try #require(calls.value == last)
        }
    }

    @Test func cancellationInterruptsADenoiserThatLooks() async throws {
        let sampler = sampler { windows, _ in
            try await Task.sleep(for: .seconds(60))
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
        // S + (S - 1) M evaluations, of six windows in batches of four.
        #expect(reports.last?.evaluationsDone == 5 + 4 * 2 && reports.last?.fractionCompleted == 1)
        #expect(reports.count == (5 + 4 * 2) * 2)
        #expect(reports.allSatisfy { $0.evaluations == 5 + 4 * 2 && $0.steps == 5 })
        #expect(zip(reports, reports.dropFirst()).allSatisfy { $0.fractionCompleted < $1.fractionCompleted })
        #expect(reports.first?.step == 1 && reports.last?.step == 5)
    }
}
