import BridgeDiffusion
import SliceSampling
import StyleKeys
import TensorFiles
import VolumeFigures
import VoxelSupport

/// The evaluation of a network on the validation data.
struct Validation: Sendable {
    let dataset: any TrainingDataset
    let configuration: TrainingConfiguration
    private let batches: BatchMaker

    init(dataset: any TrainingDataset, configuration: TrainingConfiguration) throws {
        (self.dataset, self.configuration) = (dataset, configuration)
        batches = try BatchMaker(dataset: dataset, configuration: configuration)
    }

    /// The mean loss, always with the same windows, noise and timesteps.
    func loss(of network: (WindowBatch) throws -> Tensor) throws -> Double {
        let count = min(configuration.validation.windows, dataset.count)
        var sum = 0.0
        for first in stride(from: 0, to: count, by: configuration.batch) {
            let numbers = first..<min(first + configuration.batch, count)
            let (inputs, target) = try batches.validationBatch(numbers, of: count)
            sum += configuration.loss(try network(inputs), target: target).value * Double(numbers.count)
        }
        return sum / Double(count)
    }

    /// A picture with a row for each sampled slice: source, sampled slice and target.
    func picture(by network: @escaping @Sendable (WindowBatch) throws -> Tensor) async throws -> GreyImage {
        let count = min(configuration.validation.samples, dataset.count)
        // The middles of equal parts of the data, which are not end slices of a head.
        let examples = try (0..<count).map {
            try dataset.example(at: (2 * $0 + 1) * dataset.count / (2 * count))
        }
        var rows: [[GreyImage]] = []
        for example in examples {
            let sampled = try await sample(example, with: network)
            rows.append([middle(of: example.source), sampled[...], middle(of: example.target)].map(picture))
        }
        return ImageTable(columns: ["source", "sampled", "target"], rows: rows).image()
    }

    /// The middle slice of a window that is sampled alone, without the overlapping windows of a volume.
    func sample(
        _ example: TrainingExample, with network: @escaping @Sendable (WindowBatch) throws -> Tensor
    ) async throws -> [Float] {
        let sampler = SliceSampler(
            scheduler: Scheduler(batches.path, steps: configuration.validation.samplingSteps),
            denoiser: WindowDenoiser(
                radius: dataset.radius, predictionType: configuration.predictionType, network: network),
            clip: -1...1, noise: NoiseField(seed: configuration.seed))
        let layout = SliceLayout(
            plane: .axial, radius: dataset.radius,
            of: VoxelGrid(shape: SIMD3(dataset.columns, dataset.rows, 1)), windowsShareSlices: true)
        guard let window = SliceStack(restoring: example.source, as: layout) else {
            preconditionFailure("the data set's windows have \(example.source.count) values")
        }
        do {
            return try await sampler.stackSampler.sample(from: window, conditioning: example.style).volume
                .voxels
        } catch let error as SliceSamplingError {
            if case .denoiser(let cause as TimeIsUp) = error.reason { throw cause }
            throw error
        }
    }

    private func middle(of window: [Float]) -> ArraySlice<Float> {
        let length = dataset.rows * dataset.columns
        return window[dataset.radius * length..<(dataset.radius + 1) * length]
    }

    /// A slice with the patient's right on the left, and anterior or superior at the top.
    private func picture(_ slice: ArraySlice<Float>) -> GreyImage {
        let (rows, columns) = (dataset.rows, dataset.columns)
        var image = GreyImage(width: columns, height: rows)
        for (place, value) in slice.enumerated() {
            let column = dataset.leftRightAxis == .columns ? columns - 1 - place % columns : place % columns
            image[column, rows - 1 - place / columns] = UInt8(
                (min(max((value + 1) / 2, 0), 1) * 255).rounded())
        }
        return image
    }
}

/// The network as a denoiser.
private struct WindowDenoiser: SliceDenoiser {
    let radius: Int
    let predictionType: PredictionType
    let network: @Sendable (WindowBatch) throws -> Tensor

    func predict(_ windows: SliceWindows, at timestep: Int, conditioning style: StyleKey) async throws
        -> [Float]
    {
        let shape = [windows.count, windows.slicesPerWindow, windows.rows, windows.columns]
        let tokens = (0..<windows.count).flatMap { _ in style.tokens }
        return try network(
            WindowBatch(
                noisy: Tensor(shape: shape, values: (0..<windows.count).flatMap { windows.noisy($0) }),
                source: Tensor(shape: shape, values: (0..<windows.count).flatMap { windows.source($0) }),
                timesteps: (0..<windows.count).map { _ in Float(timestep) },
                keys: Tensor(shape: [windows.count, 3, style.bins], values: tokens))
        ).values
    }
}
