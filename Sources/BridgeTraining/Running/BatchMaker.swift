import BridgeDiffusion
import DiffusionSampling
import TensorFiles

/// Makes batches: chooses examples, flips, timesteps and noise.
///
/// Each choice is a function of the seed and of the example's number k in the run, from 0. With n examples in the data
/// set, example k is number k mod n in the permutation of epoch k / n.
struct BatchMaker: Sendable {
    let dataset: any TrainingDataset
    let path: any GaussianPath
    let predictionType: PredictionType
    let flips: Bool
    let randomness: Randomness
    private var epoch: (number: Int, order: [Int])?

    /// - Throws: `StoredPathError` if the configuration's path is unknown.
    init(dataset: any TrainingDataset, configuration: TrainingConfiguration) throws {
        self.dataset = dataset
        path = try configuration.process.path()
        predictionType = configuration.predictionType
        flips = configuration.flips
        randomness = Randomness(seed: configuration.seed)
    }

    /// The batch of the examples with these numbers in the run.
    mutating func batch(_ numbers: Range<Int>) throws -> (inputs: WindowBatch, target: Tensor) {
        try assemble(
            numbers.map { number in
                let place = SIMD3(
                    UInt32(truncatingIfNeeded: number), UInt32(truncatingIfNeeded: number >> 32), 0)
                let bits = randomness.block(.example, place)
                let (index, timestep) = (
                    index(of: number),
                    Randomness.number(below: path.trainingTimesteps, from: SIMD4(bits[2], bits[3], 0, 0))
                )
                var example = try dataset.example(at: index)
                if flips, bits[0] & 1 == 1 {
                    example = example.flipped(
                        dataset.leftRightAxis, slices: 2 * dataset.radius + 1, rows: dataset.rows,
                        columns: dataset.columns)
                }
                return (example, timestep, noiseSeed(.example, place))
            })
    }

    /// A batch that is the same in every call: unflipped examples spread evenly over the data set, and timesteps over
    /// the process.
    func validationBatch(_ numbers: Range<Int>, of count: Int) throws -> (inputs: WindowBatch, target: Tensor) {
        try assemble(
            numbers.map { number in
                let example = try dataset.example(at: number * dataset.count / count)
                // Multiples of the golden ratio: neighbours in the data set get distant timesteps.
                let share = (Double(number) * 0.618_033_988_749_895).truncatingRemainder(dividingBy: 1)
                let place = SIMD3(UInt32(truncatingIfNeeded: number), 0, 0)
                return (
                    example, Int(share * Double(path.trainingTimesteps)), noiseSeed(.validation, place)
                )
            })
    }

    private mutating func index(of number: Int) -> Int {
        let (number, place) = number.quotientAndRemainder(dividingBy: dataset.count)
        if epoch?.number != number {
            epoch = (number, randomness.permutation(of: dataset.count, epoch: number))
        }
        return epoch!.order[place]
    }

    private func noiseSeed(_ purpose: Randomness.Purpose, _ place: SIMD3<UInt32>) -> UInt64 {
        let bits = randomness.block(purpose, SIMD3(place.x, place.y, 1))
        return UInt64(bits[0]) << 32 | UInt64(bits[1])
    }

    private func assemble(
        _ examples: [(example: TrainingExample, timestep: Int, noiseSeed: UInt64)]
    ) throws -> (inputs: WindowBatch, target: Tensor) {
        let (slices, rows, columns) = (2 * dataset.radius + 1, dataset.rows, dataset.columns)
        var (noisy, source, target, keys): ([Float], [Float], [Float], [Float]) = ([], [], [], [])
        for (example, timestep, noiseSeed) in examples {
            let field = NoiseField(seed: noiseSeed)
            let noise = (0..<slices).flatMap {
                field.slice($0, rows: rows, columns: columns, timestep: timestep)
            }
            noisy += path.forwardSample(at: timestep)(
                target: example.target, source: example.source, noise: noise)
            target += path.trainingTarget(of: predictionType, at: timestep)(
                target: example.target, source: example.source, noise: noise)
            source += example.source
            keys += example.style.tokens
        }
        let shape = [examples.count, slices, rows, columns]
        let bins = examples[0].example.style.bins
        return (
            WindowBatch(
                noisy: Tensor(shape: shape, values: noisy), source: Tensor(shape: shape, values: source),
                timesteps: examples.map { Float($0.timestep) },
                keys: Tensor(shape: [examples.count, 3, bins], values: keys)),
            Tensor(shape: shape, values: target)
        )
    }
}
