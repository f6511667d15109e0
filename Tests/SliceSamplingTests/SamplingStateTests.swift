import Foundation
import SliceSampling
import TestSupport
import Testing

struct SamplingStateTests {
    @Test func aSavedStateGoesOnToTheSameBits() async {
        await checkLaw(cases: 300) { generator in
            let source = volume(&generator)
            let sampler = generator.sampler(generator.scheduler(steps: 1...8)) {
                MixingDenoiser(plane: $0, radius: $1)
            }
            let expected = try await sampler.sample(from: source)
            var states: [SamplingState<SliceStack>] = []
            for try await state in try sampler.states(from: source) { states.append(state) }
            try #require(states.map(\.stepsMade) == Array(1...sampler.scheduler.timesteps.count))
            try #require(states.compactMap(\.timestep) == Array(sampler.scheduler.timesteps.dropFirst()))
            let saved = states.randomElement(using: &generator)!
            let read = try withTemporaryFolder { folder in
                try saved.write(to: folder.appending(path: "state"))
                return try SamplingState<SliceStack>(contentsOf: folder.appending(path: "state"))
            }
            try #require(read.noisy == saved.noisy && read.noisy.volume.grid == source.grid)
            var last = read
            var steps = read.stepsMade
            for try await state in try sampler.states(from: source, resuming: read) {
                steps += 1
                try #require(
                    state.stepsMade == steps && state.noisy.volume.bits == states[steps - 1].noisy.volume.bits)
                last = state
            }
            try #require(last.isComplete && last.estimate.volume.bits == expected.bits)
        }
    }

    /// A volume whose axes lie anyhow.
    private func volume(_ generator: inout SeededGenerator) -> Volume {
        let axes = [0, 1, 2].shuffled(using: &generator)
        let rows = axes.map { axis -> SIMD4<Double> in
            var row = SIMD4<Double>(0, 0, 0, Double.random(in: -9...9, using: &generator))
            row[axis] = Bool.random(using: &generator) ? 1.5 : -1.5
            return row
        }
        let grid = VoxelGrid(shape: generator.shape(), affine: Affine(rows: rows[0], rows[1], rows[2]))
        return Volume(grid: grid, voxels: generator.floats(grid.count))
    }

    @Test func progressGoesOnWhereTheStateLeftIt() async throws {
        let source = Volume(grid: VoxelGrid(shape: [3, 4, 6]))
        var sampler = SliceSampler(
            scheduler: Scheduler(BrownianBridge(), steps: 5), denoiser: MixingDenoiser(radius: 1),
            corrector: ScoreCorrector(steps: 2))
        sampler.alternatingPlanes = [PlaneDenoiser(plane: .sagittal, denoiser: MixingDenoiser(radius: 1))]
        var states: [SamplingState<SliceStack>] = []
        let whole = Recorder()
        for try await state in try sampler.states(from: source, progress: { whole.append($0) }) {
            states.append(state)
        }
        let rest = Recorder()
        for try await _ in try sampler.states(from: source, resuming: states[1], progress: { rest.append($0) })
        {}
        #expect(!rest.reports.isEmpty && rest.reports == whole.reports.suffix(rest.reports.count))
        #expect(rest.reports.last?.fractionCompleted == 1)
    }

    private func someState() async throws -> (SamplingState<SliceStack>, SliceSampler<MixingDenoiser>, Volume) {
        var generator = SeededGenerator(seed: 3)
        let source = Volume.random(shape: [3, 4, 5], using: &generator)
        let sampler = SliceSampler(
            scheduler: Scheduler(BrownianBridge(), steps: 5, solver: .published(eta: 0.5)),
            denoiser: MixingDenoiser(radius: 1), corrector: ScoreCorrector())
        var iterator = try sampler.states(from: source).makeAsyncIterator()
        _ = try await iterator.next()
        return (try #require(await iterator.next()), sampler, source)
    }

    /// Reads a file of these bytes, and uses what it says if it can be read.
    private func read(
        _ bytes: Data, in folder: URL, resuming sampler: SliceSampler<MixingDenoiser>, from source: Volume
    ) throws -> Bool {
        let file = folder.appending(path: "state")
        try bytes.write(to: file)
        do {
            let state = try SamplingState<SliceStack>(contentsOf: file)
            _ = (state.estimate.volume, state.noisy.volume, state.timestep, state.isComplete)
            _ = try sampler.states(from: source, resuming: state)
            return true
        } catch let error as SamplingStateError {
            try #require(!error.description.isEmpty)
            return false
        }
    }

    @Test func damagedFilesAreReadOrRefused() async throws {
        let (state, sampler, source) = try await someState()
        try await withTemporaryFolder { folder in
            let file = folder.appending(path: "original")
            try state.write(to: file)
            let original = try Data(contentsOf: file)
            let header = original.count - 2 * 4 * 7 * 12
            #expect(try read(original, in: folder, resuming: sampler, from: source))
            await checkLaw(cases: 2500) { generator in
                var bytes = original
                for _ in 0..<Int.random(in: 1...3, using: &generator) {
                    // Most of the damage is done to the header, where there is more to break.
                    let end = Int.random(in: 0..<5, using: &generator) > 0 ? header : bytes.count
                    let place = Int.random(in: 0..<max(1, min(end, bytes.count)), using: &generator)
                    switch Int.random(in: 0..<8, using: &generator) {
                    case 0: bytes = bytes.prefix(place)
                    case 1: bytes.append(contentsOf: [1, 2, 3, 4])
                    case 2, 3:
                        if place < bytes.count { bytes[place] = UInt8.random(in: 48...57, using: &generator) }
                    default:
                        if place < bytes.count {
                            bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                        }
                    }
                }
                _ = try read(bytes, in: folder, resuming: sampler, from: source)
            }
        }
    }

    @Test func headersThatLieAreRefused() async throws {
        let (state, sampler, source) = try await someState()
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "original")
            try state.write(to: file)
            let original = try Data(contentsOf: file)
            let length = Int(original[8]) + Int(original[9]) << 8
            let json = String(decoding: original[16..<16 + length], as: UTF8.self)
            let lies = [
                (#""shape":[3,4,5]"#, #""shape":[1048576,1048576,1048576]"#),
                (#""shape":[3,4,5]"#, #""shape":[3,4]"#), (#""shape":[3,4,5]"#, #""shape":[-3,-4,5]"#),
                (#""shape":[3,4,5]"#, #""shape":[3,4,9223372036854775807]"#),
                (#""shape":[3,4,5]"#, #""shape":[4,3,5]"#),
                (#""stepsMade":2"#, #""stepsMade":0"#), (#""stepsMade":2"#, #""stepsMade":-1"#),
                (#""stepsMade":2"#, #""stepsMade":6"#), (#""radius":1"#, #""radius":-1"#),
                (#""radius":1"#, #""radius":1099511627776"#), (#""radius":1"#, #""radius":2"#),
                (#""plane":"axial""#, #""plane":"none""#), (#""plane":"axial""#, #""plane":"coronal""#),
                (#""windows_share_slices":true"#, #""windows_share_slices":false"#),
                (#""estimates":1"#, #""estimates":0"#), (#""estimates":1"#, #""estimates":2"#),
                (#""estimates":1"#, #""estimates":9223372036854775807"#), (#""version":2"#, #""version":1"#),
            ]
            for (truth, lie) in lies {
                #expect(json.contains(truth), "\(truth)")
                let changed = json.replacingOccurrences(of: truth, with: lie)
                var bytes = Data("VXBSTATE".utf8)
                withUnsafeBytes(of: UInt64(changed.utf8.count).littleEndian) { bytes.append(contentsOf: $0) }
                bytes.append(Data(changed.utf8))
                bytes.append(original[(16 + length)...])
                #expect(try !read(bytes, in: folder, resuming: sampler, from: source), "\(lie)")
            }
        }
    }

    @Test func aStateOfAnotherRunIsRefusedByName() async throws {
        let (state, sampler, source) = try await someState()
        func refuses(
            _ field: String, source other: Volume? = nil,
            _ change: (inout SliceSampler<MixingDenoiser>) -> Void = { _ in }
        ) {
            var changed = sampler
            change(&changed)
            do {
                _ = try changed.states(from: other ?? source, resuming: state)
                Issue.record("another \(field) goes unnoticed")
            } catch {
                guard case SamplingStateError.belongsToAnotherRun(let found, _, _) = error else {
                    Issue.record("\(error)")
                    return
                }
                #expect(found.contains(field), "\(found), not \(field)")
            }
        }
        var otherVoxel = source
        otherVoxel[1, 2, 3] += 1
        refuses("fingerprint of the source", source: otherVoxel)
        refuses(
            "shape of the source", source: Volume(grid: VoxelGrid(shape: [4, 3, 5]), voxels: source.voxels))
        let turned = Affine(rows: SIMD4(0, 0, 1, 0), SIMD4(0, 1, 0, 0), SIMD4(1, 0, 0, 0))
        refuses(
            "shape of the source",
            source: Volume(grid: VoxelGrid(shape: source.shape, affine: turned), voxels: source.voxels))
        let timesteps = sampler.scheduler.timesteps
        let published = PublishedSolver(eta: 0.5)
        refuses("list of timesteps") { $0.scheduler = Scheduler(BrownianBridge(), steps: 6, solver: published) }
        refuses("number of training timesteps") {
            $0.scheduler = Scheduler(
                BrownianBridge(trainingTimesteps: 1001), timesteps: timesteps, solver: published)
        }
        refuses("start") { $0.scheduler = PathProcess.diffusion.scheduler(timesteps: timesteps) }
        refuses("fingerprint of the path") {
            $0.scheduler = PathProcess.symmetricBridge.scheduler(timesteps: timesteps, solver: published)
        }
        refuses("fingerprint of the path") {
            $0.scheduler = Scheduler(BrownianBridge(varianceScale: 2), steps: 5, solver: published)
        }
        for solver in [PublishedSolver(eta: 1), DDIMSolver(eta: 0.5), TwoPointSolver()] as [any Solver] {
            refuses("fingerprint of the solver's steps") {
                $0.scheduler = Scheduler(BrownianBridge(), steps: 5, solver: solver)
            }
        }
        refuses("shape of the source") { $0.plane = .coronal }
        refuses("list of planes") {
            $0.alternatingPlanes = [PlaneDenoiser(plane: .coronal, denoiser: MixingDenoiser(radius: 1))]
        }
        refuses("shape of the source") { $0.denoiser.radius = 2 }
        refuses("list of prediction types") { $0.denoiser.predictionType = .sample }
        refuses("list of corrections") { ($0.aggregation, $0.corrector) = (nil, nil) }
        refuses("aggregation") { $0.aggregation = .triangular }
        refuses("aggregation of corrections") { $0.scoreAggregation = .middleSlice }
        refuses("fingerprint of the source") { $0.background = 0 }
        refuses("skipping of background") { $0.skipsBackground = true }
        refuses("clipping of windows") { $0.clip = -1...1 }
        refuses("noise") { $0.noise.seed = 1 }
        refuses("noise") { $0.noise.correlation = .shared }
        refuses("list of corrections") { $0.corrector = nil }
        refuses("list of corrections") { $0.corrector = ScoreCorrector(steps: 2) }
        for corrector in [
            ScoreCorrector(stepSize: 0.4), ScoreCorrector(scaling: .paper), ScoreCorrector(isBounded: false),
        ] {
            refuses("fingerprint of the corrector's gains") { $0.corrector = corrector }
        }
        do {
            _ = try sampler.states(from: source, resuming: state, settings: [RunSetting("model", "other")])
            Issue.record("another model goes unnoticed")
        } catch let error as SamplingStateError { #expect(error.errorDescription == error.description) }
        // How it is computed is no part of the run.
        var sameRun = sampler
        (sameRun.batchSize, sameRun.batchesInFlight) = (7, 3)
        _ = try sameRun.states(from: source, resuming: state)
    }

    @Test func aFileThatIsNotThereIsTheSystemsError() {
        #expect(throws: CocoaError.self) {
            try SamplingState<SliceStack>(contentsOf: URL(filePath: "/no/such/state"))
        }
    }
}
