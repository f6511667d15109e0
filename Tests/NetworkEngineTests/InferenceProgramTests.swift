import Networks
import TensorTestSupport
import TestSupport
import Testing

@testable import NetworkEngine

/// Networks of random operations, each on random results of those before it, agree at every one of them.
struct InferenceProgramTests {
    @Test func anyNetworkAgreesEverywhere() async {
        await checkLaw(cases: 300) { generator in
            let trace = PlainTrace(&generator)
            var network = RandomNetwork(trace, &generator)
            for _ in 0..<generator.size(in: 1...14) { network.grow(&generator) }
            let worst = try trace.worst()
            try #require(worst.error < 5e-5, "\(worst.place) is off by \(worst.error)")
            // Several results at once, none of which may have been overwritten.
            let some = try trace.compiled(network.some(&generator))
            try #require(some.error < 5e-5, "some together are off by \(some.error)")
        }
    }

    @Test func anyNetworkOfVolumesAgreesEverywhere() async {
        await checkLaw(cases: 100) { generator in
            let trace = PlainTrace(&generator)
            var network = RandomNetwork(trace, planes: generator.size(in: 1...5), &generator)
            for _ in 0..<generator.size(in: 1...14) { network.grow(&generator) }
            let worst = try trace.worst(options: ComputeOptions(threads: 2))
            try #require(worst.error < 5e-5, "\(worst.place) is off by \(worst.error)")
            let some = try trace.compiled(network.some(&generator))
            try #require(some.error < 5e-5, "some together are off by \(some.error)")
        }
    }
}

/// A network that grows by one random operation at a time.
struct RandomNetwork {
    private let a: PlainTrace
    private var values: [GraphValue]
    private let shifts: [GraphValue]
    private let context: GraphValue
    private var layers = 0

    private static let channels = 32

    /// A network of slices, or of volumes of some planes.
    init(_ trace: PlainTrace, planes: Int? = nil, _ generator: inout SeededGenerator) {
        a = trace
        let (rows, columns) = (generator.size(in: 1...7), generator.size(in: 2...7))
        values = (0..<2).map { _ in
            planes.map { trace.image(Self.channels, $0, rows, columns) }
                ?? trace.image(Self.channels, rows, columns)
        }
        shifts = (0..<2).map { _ in trace.shared([1, Self.channels]) }
        context = a.shared([1, 3, Self.channels])
    }

    /// The last results and some others, as the channels of one image.
    func some(_ generator: inout SeededGenerator) -> GraphValue {
        let others = values.dropLast(2).filter { _ in Int.random(in: 0..<4, using: &generator) == 0 }
        return GraphValue.concatenated(others + values.suffix(2), axis: 1)
    }

    /// Adds an operation; every result is an image with as many channels and pixels as the first.
    mutating func grow(_ generator: inout SeededGenerator) {
        // Mostly the last ones, so that there are chains.
        let x = values.suffix([2, 2, 2, .max].randomElement(using: &generator)!).randomElement(
            using: &generator)!
        let other = values.randomElement(using: &generator)!
        layers += 1
        let name = "\(layers)"
        let channels = Self.channels
        let shape = x.shape
        let isVolume = shape.count == 5
        let flat = [1, channels, shape[2...].reduce(1, *)]
        let kernel = { (extent: Int) in shape[2...].map { _ in extent } }
        let result: GraphValue
        switch Int.random(in: 0..<(isVolume ? 22 : 17), using: &generator) {
        case 0, 14: result = Convolution(name, inputs: channels, outputs: channels, kernel: kernel(3))(x)
        case 1: result = Convolution(name, inputs: channels, outputs: channels, kernel: kernel(1))(x)
        case 17: result = x.modulated(scale: other, shift: values[values.count - 1])
        case 18: result = x * other
        case 19: result = x.leakyReLU(slope: 0.2)
        case 20: result = GroupNorm(name, channels: channels, groups: 1, isAffine: false)(x)
        case 21,
            8 where isVolume:
            result = Convolution(
                name, inputs: channels, outputs: channels, kernel: kernel(3), stride: kernel(2))(x.upsampled())
        case 2: result = GroupNorm(name, channels: channels)(x)
        case 3: result = x.silu()
        case 4, 15: result = x + other
        case 5: result = x.shifted(by: shifts[0])
        case 6: result = x.modulated(scale: shifts[0], shift: shifts[1])
        case 7: result = other * x.gelu()
        case 8: result = x.upsampled().averagePooled()
        case 9:
            // The same channels in another order.
            let first = [8, 16, 16].randomElement(using: &generator)!
            let halves = [first..<channels, 0..<first].map { x.slice(axis: 1, $0) }
            result = GraphValue.concatenated(halves, axis: 1)
        case 10:
            let joined = GraphValue.concatenated([x, other], axis: 1)
            let first = [0, 7, 16].randomElement(using: &generator)!
            result = joined.slice(axis: 1, first..<first + channels)
        case 11, 16: result = x.reshaped(flat).reshaped(shape)
        case 12:
            let tokens = x.reshaped(flat).transposed()
            let normed = LayerNorm(name, width: channels)(tokens)
            let attended = normed.attention(
                keys: other.reshaped(flat).transposed(), values: normed,
                heads: [1, 2, 4].randomElement(using: &generator)!)
            result = attended.transposed().reshaped(shape)
        default:
            let tokens = x.reshaped(flat).transposed()
            let attended = tokens.attention(keys: context, values: context, heads: 2)
            let mapped = Linear(name, inputs: channels, outputs: channels)(attended)
            result = (mapped + tokens).transposed().reshaped(shape)
        }
        values.append(result)
    }
}
