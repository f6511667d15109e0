import NetworkEngine
import Networks
import TensorTestSupport
import TestSupport
import Testing

@testable import Networks

/// U-Nets of any configuration, compiled, are what plain arithmetic gives, at the worst of their layers.
struct CompiledLayerTests {
    @Test func everyLayerOfAnyNetworkAgrees() async {
        await checkLaw(cases: 5) { generator in
            let configuration = generator.configuration()
            try configuration.validate()
            let multiple = configuration.sizeMultiple
            let rows = multiple * Int.random(in: 2...4, using: &generator)
            let columns = multiple * Int.random(in: 2...5, using: &generator)

            let trace = PlainTrace(&generator)
            let images = (0..<2).map { _ in trace.image(configuration.outputChannels, rows, columns) }
            let body = UNetArchitecture(configuration).body
            let output = body(
                .concatenated(images, axis: 1),
                time: body.embedding(trace.shared([1, configuration.modelChannels])),
                key: configuration.contextWidth.map { trace.shared([1, UNetConfiguration.keyTokens, $0]) })

            let whole = try trace.compiled(output)
            try #require(whole.error < 2e-4, "the output is off by \(whole.error)")
            // Residual blocks and transformers end in sums; within them, convolutions and linear maps do the work.
            let worst = try trace.worst { $0.hasPrefix("sum") || $0.hasPrefix("convolution") }
            print("\(rows) x \(columns), output: relative L2 \(whole.error); worst: \(worst.error)")
            try #require(worst.error < 2e-4, "\(worst.place) is off by \(worst.error)")
        }
    }

    /// Blocks by themselves: each is given numbers of its own, so that no error comes from before it.
    @Test func everyBlockByItselfAgrees() async {
        await checkLaw(cases: 5) { generator in
            let configuration = generator.configuration()
            let body = UNetArchitecture(configuration).body
            let blocks = body.inputBlocks + [body.middleBlock] + body.outputBlocks
            for block in blocks {
                let trace = PlainTrace(&generator)
                let (rows, columns) = (
                    2 * Int.random(in: 1...5, using: &generator), 2 * Int.random(in: 1...5, using: &generator)
                )
                let x = trace.image(block[0].inputs, rows, columns)
                let time = trace.shared([1, 4 * configuration.modelChannels])
                let key = configuration.contextWidth.map { trace.shared([1, UNetConfiguration.keyTokens, $0]) }
                _ = block.reduce(x) { $1($0, time: time, key: key) }
                let worst = try trace.worst { $0.hasPrefix("sum") || $0.hasPrefix("convolution") }
                try #require(worst.error < 2e-5, "\(worst.place) is off by \(worst.error)")
            }
        }
    }

    /// A network read from a file, with the sinusoids of its time, is the architecture on plain arithmetic.
    @Test func networksReadFromFilesAgree() async {
        await checkLaw(cases: 5) { generator in
            let configuration = generator.configuration()
            let parameters = configuration.randomParameters(&generator)
            let multiple = configuration.sizeMultiple
            let inputs = Inputs(configuration, batch: 2, rows: 3 * multiple, columns: 2 * multiple, &generator)
            let found = try inputs.evaluate(network(configuration, of: parameters))
            let architecture = UNetArchitecture(configuration)
            let expected = try architecture.evaluate(inputs, parameters: parameters)
            try #require(relativeL2(found.values, expected.values) < 2e-4)
        }
    }
}

extension UNetLayer {
    /// Channels of the image that it takes.
    fileprivate var inputs: Int {
        switch self {
        case .convolution(let layer): layer.weight.shape[1]
        case .residual(let layer): layer.inputNorm.channels
        case .resampling(let layer): layer.convolution?.weight.shape[1] ?? 1
        case .selfAttention(let layer): layer.norm.channels
        case .transformer(let layer): layer.norm.channels
        }
    }
}
