import SliceSampling
import TensorFiles
import TestSupport
import Testing

@testable import BridgeTraining

/// How a network is judged.
struct ValidationTests {
    private let dataset = TinyDataset(count: 9)

    /// The tiny network as a sampler's denoiser.
    private struct Denoiser: SliceDenoiser {
        let radius = 1
        let predictionType: PredictionType
        let parameters: [String: Tensor]

        func predict(
            _ windows: SliceWindows, at timestep: Int, conditioning style: StyleKey
        ) async throws -> [Float] {
            let network = try TinyNetwork().evaluator(of: parameters)
            return try (0..<windows.count).flatMap { index in
                let shape = [1, 3, windows.rows, windows.columns]
                return try network(
                    WindowBatch(
                        noisy: Tensor(shape: shape, values: Array(windows.noisy(index))),
                        source: Tensor(shape: shape, values: Array(windows.source(index))),
                        timesteps: [Float(timestep)],
                        keys: Tensor(shape: [1, 3, style.bins], values: style.tokens))
                ).values
            }
        }
    }

    /// The middle one of three windows that each follow a trajectory of their own.
    @Test func slicesAreSampledAsByASampler() async {
        await checkLaw(cases: 30) { generator in
            var configuration = TrainingConfiguration.tiny(&generator)
            // A sampler's noise has its places in a volume, and a validation's in a batch.
            let process = Bool.random(using: &generator) ? PathProcess.brownianBridge : .symmetricBridge
            configuration.process = try StoredPath(process.path())
            configuration.validation.samplingSteps = generator.size(in: 3...8)
            let parameters = TinyNetwork().initialParameters(seed: generator.next()).tensors
            let validation = try Validation(dataset: dataset, configuration: configuration)
            let sampler = SliceSampler(
                scheduler: Scheduler(
                    try configuration.process.path(), steps: configuration.validation.samplingSteps),
                denoiser: Denoiser(predictionType: configuration.predictionType, parameters: parameters),
                aggregation: nil, clip: -1...1)
            let (rows, columns) = (dataset.rows, dataset.columns)
            for number in [2, 5] {
                let example = try dataset.example(at: number)
                let found = try await validation.sample(
                    example, with: TinyNetwork().evaluator(of: parameters))
                let volume = try await sampler.sample(
                    from: Volume(grid: VoxelGrid(shape: [columns, rows, 3]), voxels: example.source),
                    conditioning: example.style)
                try #require(found.map(\.bitPattern) == volume.slice(1).map(\.bitPattern))
            }
        }
    }

    @Test func theLossIsTheSameAtEveryCallAndBatchSize() async {
        await checkLaw(cases: 20) { generator in
            var configuration = TrainingConfiguration.tiny(&generator)
            configuration.validation.windows = generator.size(in: 1...12)
            let network = try TinyNetwork().evaluator(of: TinyNetwork().initialParameters(seed: 3).tensors)
            let losses = try [1, 2, 5, 5].map { batch in
                configuration.batch = batch
                return try Validation(dataset: dataset, configuration: configuration).loss(of: network)
            }
            try #require(losses[2] == losses[3])
            for loss in losses { try #require(abs(loss - losses[0]) < 1e-5 * losses[0]) }
        }
    }
}
