import Networks
import ReferenceUNet
import TensorFiles
import TestSupport
import Testing

@testable import BridgeTraining

/// What is drawn from the seed: weights, orders, flips, timesteps and noise.
struct BatchTests {
    @Test func permutationsHoldEachNumberOnce() async {
        await checkLaw { generator in
            let randomness = Randomness(seed: generator.next())
            let count = generator.size(in: 1...50)
            let orders = (0..<3).map { randomness.permutation(of: count, epoch: $0) }
            for order in orders { try #require(order.sorted() == Array(0..<count)) }
            try #require(count < 10 || Set(orders).count == 3)
        }
    }

    /// Every number comes at every place about as often as any other.
    @Test func permutationsFavourNoOrder() {
        let randomness = Randomness(seed: 4)
        var counts = [[Int]](repeating: [0, 0, 0, 0], count: 4)
        for epoch in 0..<4000 {
            for (place, number) in randomness.permutation(of: 4, epoch: epoch).enumerated() {
                counts[place][number] += 1
            }
        }
        // 1000 expected, with a deviation of 27.
        #expect(counts.joined().allSatisfy { abs($0 - 1000) < 140 }, "\(counts)")
    }

    @Test func everyEpochHasEveryExample() throws {
        let dataset = TinyDataset(count: 7)
        var configuration = TrainingConfiguration()
        configuration.flips = false
        var batches = try BatchMaker(dataset: dataset, configuration: configuration)
        let sources = try (0..<7).map { try dataset.example(at: $0).source }
        for epoch in 0..<3 {
            let batch = try batches.batch(epoch * 7..<(epoch + 1) * 7).inputs.source.values
            let length = batch.count / 7
            let drawn = (0..<7).map { Array(batch[$0 * length..<($0 + 1) * length]) }
            #expect(Set(drawn) == Set(sources))
        }
    }

    /// An example of a run is the same in whatever batch, and whatever was drawn before.
    @Test func examplesAreFunctionsOfTheirNumber() async {
        await checkLaw(cases: 20) { generator in
            var configuration = TrainingConfiguration.tiny(&generator)
            configuration.seed = generator.next()
            let dataset = TinyDataset()
            var batches = try BatchMaker(dataset: dataset, configuration: configuration)
            let all = try batches.batch(0..<30)
            let number = generator.size(in: 0...29)
            var fresh = try BatchMaker(dataset: dataset, configuration: configuration)
            let one = try fresh.batch(number..<number + 1)
            func part(_ tensor: Tensor) -> Tensor { tensor.slice(axis: 0, number..<number + 1) }
            try #require(one.inputs.noisy == part(all.inputs.noisy))
            try #require(one.target == part(all.target))
            try #require(one.inputs.keys == part(all.inputs.keys))
            try #require(one.inputs.timesteps == [all.inputs.timesteps[number]])
        }
    }

    @Test func timestepsAndFlipsAreSpreadEvenly() throws {
        var configuration = TrainingConfiguration()
        configuration.process = try StoredPath(BrownianBridge(trainingTimesteps: 10))
        configuration.validation.samplingSteps = 5
        let dataset = TinyDataset(rows: 1, columns: 2, count: 1)
        let source = try dataset.example(at: 0).source
        var batches = try BatchMaker(dataset: dataset, configuration: configuration)
        let inputs = try batches.batch(0..<4000).inputs
        var counts = [Int](repeating: 0, count: 10)
        for t in inputs.timesteps { counts[Int(t)] += 1 }
        // 400 expected, with a deviation of 19.
        #expect(counts.allSatisfy { abs($0 - 400) < 100 }, "\(counts)")
        let flipped = (0..<4000).count { inputs.source.values[6 * $0] != source[0] }
        #expect(abs(flipped - 2000) < 160)
    }

    @Test(arguments: [WindowAxis.slices, .rows, .columns])
    func flipsTurnAnAxisRound(axis: WindowAxis) throws {
        let shape = [3, 4, 5]
        let window = Tensor(shape: shape, values: (0..<60).map { Float($0) })
        var example = try TinyDataset().example(at: 0)
        (example.source, example.target) = (window.values, window.values.map { -$0 })
        let flipped = example.flipped(axis, slices: 3, rows: 4, columns: 5)
        let result = Tensor(shape: shape, values: flipped.source)
        for slice in 0..<3 {
            for row in 0..<4 {
                for column in 0..<5 {
                    let expected =
                        switch axis {
                        case .slices: window[2 - slice, row, column]
                        case .rows: window[slice, 3 - row, column]
                        case .columns: window[slice, row, 4 - column]
                        }
                    #expect(result[slice, row, column] == expected)
                }
            }
        }
        #expect(flipped.target == flipped.source.map { -$0 })
        #expect(flipped.flipped(axis, slices: 3, rows: 4, columns: 5) == example)
    }

    @Test func weightsBeginAsDocumented() {
        var configuration = UNetConfiguration()
        configuration.modelChannels = 32
        configuration.channelMultipliers = [1, 2]
        configuration.headChannels = 32
        let parameters = UNetArchitecture(configuration).parameters
        let first = ParameterSet(initial: parameters, seed: 1).tensors
        #expect(ParameterSet(initial: parameters, seed: 1).tensors == first)
        for (name, tensor) in first {
            let values = tensor.values
            let (low, high) = (values.min()!, values.max()!)
            if name.hasPrefix("out.2.") || name.contains(".out_layers.3.") || name.contains(".proj_out.") {
                #expect(low == 0 && high == 0, "\(name)")
            } else if name.contains("norm") || name.contains("_layers.0.") || name.hasPrefix("out.0.") {
                let value: Float = name.hasSuffix("weight") ? 1 : 0
                #expect(low == value && high == value, "\(name)")
            } else {
                let path = name.split(separator: ".").dropLast().joined(separator: ".")
                let weight = first["\(path).weight"]!
                let bound = 1 / Float(weight.shape.dropFirst().reduce(1, *)).squareRoot()
                #expect(low >= -bound && high <= bound && low < 0 && high > 0, "\(name)")
                if values.count > 1000 {
                    let mean = values.reduce(0, +) / Float(values.count)
                    let square = values.reduce(0) { $0 + $1 * $1 } / Float(values.count)
                    #expect(abs(mean) < 0.1 * bound && abs(square / (bound * bound) - 1 / 3) < 0.05, "\(name)")
                }
            }
        }
        let other = ParameterSet(initial: parameters, seed: 2).tensors
        #expect(first["input_blocks.0.0.weight"] != other["input_blocks.0.0.weight"])
    }
}
