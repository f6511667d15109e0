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
        let parameterization: Parameterization
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
            configuration.process.kind = Bool.random(using: &generator) ? .brownianBridge : .symmetricBridge
            configuration.validation.samplingSteps = generator.size(in: 3...8)
            let parameters = TinyNetwork().initialParameters(seed: generator.next()).tensors
            let examples = try [2, 5].map { try dataset.example(at: $0) }
            let sampled = try Validation(dataset: dataset, configuration: configuration)
                .sample(examples, with: TinyNetwork().evaluator(of: parameters))
            let sampler = SliceSampler(
                scheduler: configuration.process.scheduler(steps: configuration.validation.samplingSteps),
                denoiser: Denoiser(parameterization: configuration.objective, parameters: parameters),
                aggregation: nil)
            let (rows, columns) = (dataset.rows, dataset.columns)
            for (index, example) in examples.enumerated() {
                let volume = try await sampler.sample(
                    from: Volume(
                        grid: VoxelGrid(shape: [columns, rows, 3]), voxels: example.source),
                    conditioning: example.style)
                let middle = (3 * index + 1) * rows * columns
                let found = sampled.values[middle..<middle + rows * columns]
                try #require(relativeL2(found, volume.slice(1)) < 1e-4)
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
