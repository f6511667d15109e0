import BridgeDiffusion
import SliceSampling
import TensorFiles
import VolumeFigures

/// Judges a network on data that it does not learn from.
struct Validation: Sendable {
    let dataset: any TrainingDataset
    let configuration: TrainingConfiguration
    private let batches: BatchMaker

    init(dataset: any TrainingDataset, configuration: TrainingConfiguration) {
        (self.dataset, self.configuration) = (dataset, configuration)
        batches = BatchMaker(dataset: dataset, configuration: configuration)
    }

    /// The mean loss, always on the same windows with the same noise at the same timesteps.
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

    /// A picture of sampled slices: a row for each, with source, sampled slice and target.
    func picture(by network: (WindowBatch) throws -> Tensor) throws -> GreyImage {
        let count = min(configuration.validation.samples, dataset.count)
        // The middles of equal parts of the data: not the first slices of a head.
        let examples = try (0..<count).map {
            try dataset.example(at: (2 * $0 + 1) * dataset.count / (2 * count))
        }
        let sampled = try sample(examples, with: network)
        let length = sampled.count / count
        let rows = examples.enumerated().map { index, example in
            [example.source[...], sampled.values[index * length..<(index + 1) * length], example.target[...]]
                .map(picture)
        }
        return ImageTable(columns: ["source", "sampled", "target"], rows: rows).image()
    }

    /// Samples each window on its own, without the windows that it would share slices with in a volume.
    func sample(
        _ examples: [TrainingExample], with network: (WindowBatch) throws -> Tensor
    ) throws -> Tensor {
        let scheduler = configuration.process.scheduler(steps: configuration.validation.samplingSteps)
        let (slices, rows, columns) = (2 * dataset.radius + 1, dataset.rows, dataset.columns)
        let shape = [examples.count, slices, rows, columns]
        let source = Tensor(shape: shape, values: examples.flatMap(\.source))
        var batch = WindowBatch(
            noisy: source, source: source, timesteps: [],
            keys: Tensor(
                shape: [examples.count, 3, examples[0].style.bins], values: examples.flatMap(\.style.tokens)))
        if scheduler.start == .noise {
            let field = NoiseField(seed: configuration.seed)
            batch.noisy.values = (0..<examples.count * slices).flatMap {
                field.slice($0, rows: rows, columns: columns, timestep: scheduler.trainingTimesteps)
            }
        }
        for (index, t) in scheduler.timesteps.enumerated() {
            batch.timesteps = examples.map { _ in Float(t) }
            let output = try network(batch)
            let estimate = scheduler.estimate(from: configuration.objective, at: t)(
                noisy: batch.noisy.values, target: output.values, source: source.values)
            batch.noisy.values =
                index + 1 < scheduler.timesteps.count
                ? scheduler.reverseStep(from: t, to: scheduler.timesteps[index + 1])(
                    noisy: batch.noisy.values, target: estimate, source: source.values)
                : estimate
        }
        return batch.noisy
    }

    /// The middle slice of a window, the patient's right on the left and what is in front or above on top.
    private func picture(_ window: ArraySlice<Float>) -> GreyImage {
        let (rows, columns) = (dataset.rows, dataset.columns)
        var image = GreyImage(width: columns, height: rows)
        for (place, value) in window.dropFirst(dataset.radius * rows * columns).prefix(rows * columns)
            .enumerated()
        {
            let column = dataset.leftRightAxis == .columns ? columns - 1 - place % columns : place % columns
            image[column, rows - 1 - place / columns] = UInt8(
                (min(max((value + 1) / 2, 0), 1) * 255).rounded())
        }
        return image
    }
}
