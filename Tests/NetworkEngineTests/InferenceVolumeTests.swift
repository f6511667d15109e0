import Networks
import TensorFiles
import TensorTestSupport
import TestSupport
import Testing

@testable import NetworkEngine

/// Layers of volumes, compiled: what plain arithmetic gives, at every layer, with the same bits on any number of threads.
struct InferenceVolumeTests {
    private func agrees(
        cases: Int = 12, memories: [Int?] = [0, nil], sourceLocation: SourceLocation = #_sourceLocation,
        _ compose: (PlainTrace, inout SeededGenerator) -> Void
    ) async {
        await checkLaw(cases: cases, sourceLocation: sourceLocation) { generator in
            let trace = PlainTrace(&generator)
            compose(trace, &generator)
            for memory in memories {
                let options = { ComputeOptions(threads: $0, winogradMemory: memory) }
                let worst = try trace.worst(options: options(1))
                try #require(worst.error < 2e-5, "\(worst.place) is off by \(worst.error)")
                let last = trace.builder.value(at: trace.builder.nodes.count - 1)
                let alone = try trace.compiled(last, options: options(1)).tensor
                for threads in [2, 3, 5] {
                    try #require(
                        try trace.compiled(last, options: options(threads)).tensor == alone,
                        "\(threads) threads give other bits")
                }
            }
        }
    }

    private static func extents(_ generator: inout SeededGenerator, in range: ClosedRange<Int>) -> [Int] {
        (0..<3).map { _ in generator.size(in: range) }
    }

    private static func image(
        _ a: PlainTrace, _ channels: Int, _ extents: [Int]
    ) -> GraphValue { a.image(channels, extents[0], extents[1], extents[2]) }

    /// The kernels, strides and paddings of the models, and any others.
    @Test func convolutions() async {
        await agrees(cases: 40) { a, generator in
            let kinds: [(kernel: Int, stride: Int, before: Int, after: Int)] = [
                (3, 1, 1, 1), (3, 2, 0, 1), (3, 2, 1, 1), (7, 1, 3, 3), (4, 2, 1, 1), (4, 1, 1, 1),
                (1, 1, 0, 0),
                (1, 2, 0, 0), (2, 1, 0, 2),
            ]
            let kind = kinds.randomElement(using: &generator)!
            let x = Self.image(a, generator.size(in: 1...40), Self.extents(&generator, in: 3...9))
            let padding = Convolution.Padding(before: kind.before, after: kind.after)
            let layer = Convolution(
                "c", inputs: x.shape[1], outputs: generator.size(in: 1...40),
                kernel: [Int](repeating: kind.kernel, count: 3),
                stride: [Int](repeating: kind.stride, count: 3),
                padding: [padding, padding, padding], hasBias: Bool.random(using: &generator))
            guard layer.extents(of: x.shape[2...]).allSatisfy({ $0 > 0 }) else { return }
            // Normalised afterwards, so that its moments are those of its numbers.
            _ = GroupNorm.instance(channels: layer.weight.shape[0])(layer(x))
        }
    }

    @Test(arguments: 1...3)
    func convolutionsOfAnyKernel(axes: Int) async {
        await agrees(cases: 30) { a, generator in
            let kernel = (0..<axes).map { _ in generator.size(in: 1...4) }
            let padding = kernel.map { _ in
                Convolution.Padding(before: generator.size(in: 0...3), after: generator.size(in: 0...3))
            }
            let extents = kernel.map { $0 + generator.size(in: 0...5) }
            let all = [Int](repeating: 1, count: max(0, 2 - axes)) + extents
            let channels = generator.size(in: 1...20)
            let x =
                axes == 3
                ? Self.image(a, channels, all)
                : a.image(channels, all[0], all[1]).reshaped([1, channels] + extents)
            let stride = generator.size(in: 1...2)
            _ = Convolution(
                "c", inputs: channels, outputs: generator.size(in: 1...20), kernel: kernel,
                stride: kernel.map { _ in stride }, padding: padding, hasBias: Bool.random(using: &generator))(
                    x)
        }
    }

    /// Several chunks of planes and of rows of tiles, and slabs within them; with all that is fused.
    @Test(arguments: [[40, 10, 12], [26, 33, 7], [3, 70, 20], [50, 5, 70], [1, 60, 60], [60, 3, 3]])
    func convolutionsOfLargeVolumes(extents: [Int]) async {
        await agrees(cases: 1) { a, generator in
            let x = Self.image(a, generator.size(in: 1...20), extents)
            let first = Convolution("1", inputs: x.shape[1], outputs: 18, kernel: [3, 3, 3])
            let second = Convolution("2", inputs: 18, outputs: x.shape[1], kernel: [3, 3, 3])
            let norm = GroupNorm("n", channels: 18, groups: 3)
            _ = GroupNorm.instance(channels: x.shape[1])(x + second(norm(first(x)).silu()))
        }
    }

    @Test func kernelsOfOnePlane() async {
        await agrees { a, generator in
            let x = Self.image(a, generator.size(in: 1...20), Self.extents(&generator, in: 1...30))
            let half = Convolution.Padding(before: 1, after: 1)
            _ = Convolution(
                "c", inputs: x.shape[1], outputs: 17, kernel: [1, 3, 3],
                padding: [Convolution.Padding(before: 0, after: 0), half, half])(x)
        }
    }

    @Test func functionsUponFunctions() async {
        await agrees(cases: 3, memories: [nil]) { a, generator in
            let extents = Self.extents(&generator, in: 1...4)
            let x = Self.image(a, generator.size(in: 1...20), extents)
            let other = Self.image(a, x.shape[1], extents)
            let shift = a.shared([1, x.shape[1]])
            let channels = x.shape[1]
            let functions: [(GraphValue) -> GraphValue] = [
                { $0.silu() }, { $0.gelu() }, { $0.relu() }, { $0.leakyReLU(slope: 0.2) }, { $0.upsampled() },
                { $0.shifted(by: shift) }, { $0.modulated(scale: shift, shift: shift) }, { $0 + $0 },
                { $0 * $0 },
                { $0.modulated(scale: $0, shift: $0) }, { GroupNorm.instance(channels: channels)($0) },
                { Convolution("1", inputs: channels, outputs: channels, kernel: [1, 1, 1])($0) },
                { Convolution("3", inputs: channels, outputs: channels, kernel: [3, 3, 3])($0) },
            ]
            _ = x.modulated(scale: other, shift: x.silu()) * other.gelu()
            for first in functions {
                let y = first(x)
                for second in functions { _ = second(y) }
            }
        }
    }

    @Test func normalizations() async {
        await agrees(cases: 20) { a, generator in
            let groups = generator.size(in: 1...5)
            let channels = groups * generator.size(in: 1...7)
            let norm =
                Bool.random(using: &generator)
                ? GroupNorm.instance(channels: channels, epsilon: 0.01)
                : GroupNorm(
                    "n", channels: channels, groups: groups, epsilon: 1e-6,
                    isAffine: Bool.random(using: &generator))
            let layer = Convolution("c", inputs: channels, outputs: 5, kernel: [3, 3, 3], hasBias: false)
            let x = Self.image(a, channels, [generator.size(in: 2...4), 4, 5])
            _ = layer(norm(x).leakyReLU(slope: 0.2).upsampled())
        }
    }

    /// Normalisation that is scaled and shifted by maps of the image itself.
    @Test func modulationsByMaps() async {
        await agrees { a, generator in
            let channels = generator.size(in: 1...20)
            let x = Self.image(a, channels, Self.extents(&generator, in: 2...7))
            let shared = Convolution("s", inputs: channels, outputs: 7, kernel: [3, 3, 3])(x).relu()
            let maps = ["g", "b"].map {
                Convolution($0, inputs: 7, outputs: channels, kernel: [3, 3, 3])(shared)
            }
            let normed = GroupNorm.instance(channels: channels)(x)
            let both = normed.modulated(scale: maps[0], shift: maps[1]).leakyReLU(slope: 0.2)
            let alone = normed * maps[0] + maps[1]
            let last = Convolution("l", inputs: channels, outputs: 9, kernel: [3, 3, 3])
            _ = last(both) + last(alone)
        }
    }

    @Test func codebooks() async {
        await agrees(cases: 20, memories: [nil]) { a, generator in
            let width = generator.size(in: 1...18)
            let x = Self.image(a, width, Self.extents(&generator, in: 1...6))
            let y = Codebook("q", entries: generator.size(in: 1...70), width: width)(x.silu())
            _ = GroupNorm("n", channels: width, groups: 1)(y + x)
            _ = Convolution("c", inputs: width, outputs: 3, kernel: [1, 1, 1])(y)
        }
    }

    /// Ties go to the first entry; what is no number does not crash.
    @Test func codesOfTies() throws {
        let builder = GraphBuilder()
        let layer = Codebook("q", entries: 40, width: 1)
        let graph = builder.graph(endingIn: layer(builder.image([1, 1, 1, 1, 5])))
        let codes = Tensor(shape: [40, 1], values: (0..<40).map { Float(1 + $0 % 20) })
        let compiled = try CompiledNetwork(RecordedNetwork(graph), planned: [1, 1, 5]) { _ in codes }
        let x = Tensor(shape: [1, 1, 1, 1, 5], values: [3.5, 19.5, -9, 99, .nan])
        let found = try compiled(images: [x], shared: [])
        #expect(found.values == [3, 19, 1, 20, 1])
        let plain = try PlainEvaluator(parameters: ["q.weight": codes])(graph, images: [x])
        #expect(plain.values == found.values)
    }

    @Test func attentionOfVoxels() async {
        await agrees(cases: 6, memories: [nil]) { a, generator in
            let (heads, headChannels) = (
                generator.size(in: 1...3), [4, 16, 32].randomElement(using: &generator)!
            )
            let channels = heads * headChannels
            let x = Self.image(a, channels, Self.extents(&generator, in: 1...6))
            let pixels = x.shape[2...].reduce(1, *)
            let flat = x.reshaped([1, channels, pixels])
            let all = Convolution("qkv", inputs: channels, outputs: 3 * channels, kernel: [1])(
                GroupNorm("n", channels: channels, groups: heads)(flat))
            let perHead = all.transposed().reshaped([1, pixels, heads, 3 * headChannels])
            let thirds = (0..<3).map {
                perHead.slice(axis: 3, $0 * headChannels..<($0 + 1) * headChannels).reshaped([
                    1, pixels, channels,
                ])
            }
            let attended = thirds[0].attention(keys: thirds[1], values: thirds[2], heads: heads)
            let out = Convolution("o", inputs: channels, outputs: channels, kernel: [1])
            let y = (flat + out(attended.transposed())).reshaped(x.shape)
            // Cross-attention to a single token.
            let token = a.shared([1, 1, 3])
            let maps = ["k", "v"].map { Linear($0, inputs: 3, outputs: channels, hasBias: false)(token) }
            let tokens = y.reshaped([1, channels, pixels]).transposed()
            let crossed = tokens.attention(keys: maps[0], values: maps[1], heads: heads)
            _ = (tokens + Linear("l", inputs: channels, outputs: channels)(crossed)).transposed().reshaped(
                x.shape)
        }
    }

    /// More tokens than are kept for a block of many queries.
    @Test func attentionOfThousandsOfVoxels() async {
        await agrees(cases: 1, memories: [nil]) { a, generator in
            let x = a.image(16, 13, 13, 13).reshaped([1, 16, 2197]).transposed()
            _ = x.attention(keys: x, values: x, heads: 2).transposed().reshaped([1, 16, 13, 13, 13])
        }
    }

    @Test func joiningAndSplittingChannels() async {
        await agrees(cases: 12, memories: [nil]) { a, generator in
            let extents = Self.extents(&generator, in: 1...5)
            let counts = [[4, 4, 4], [16, 3], [32, 16], [1, 17, 1]].randomElement(using: &generator)!
            let whole = GraphValue.concatenated(counts.map { Self.image(a, $0, extents) }, axis: 1)
            let first = Int.random(in: 0..<whole.shape[1], using: &generator)
            let part = whole.slice(axis: 1, first..<whole.shape[1])
            _ = GraphValue.concatenated([part.silu(), whole], axis: 1)
            _ = Convolution("c", inputs: part.shape[1], outputs: 5, kernel: [3, 3, 3])(part)
        }
    }

    /// A residual block needs its input and its first convolution, and no third image: the sum takes the input's place.
    @Test func aSumTakesThePlaceOfWhatIsAdded() throws {
        var generator = SeededGenerator(seed: 1)
        let trace = PlainTrace(&generator)
        let stem = Convolution("s", inputs: 1, outputs: 16, kernel: [3, 3, 3])
        var x = stem(trace.image(1, 12, 12, 12))
        for index in 0..<3 {
            let convolutions = [0, 1].map {
                Convolution("\(index).\($0)", inputs: 16, outputs: 16, kernel: [3, 3, 3])
            }
            let norms = [0, 1].map { GroupNorm("\(index).n\($0)", channels: 16, groups: 4) }
            x = x + convolutions[1](norms[1](convolutions[0](norms[0](x).silu())).silu())
        }
        let graph = trace.builder.graph(endingIn: x)
        let parameters = trace.parameters(of: graph)
        let weights = try LayerWeights(graph, options: ComputeOptions(threads: 1)) { parameters[$0.name]! }
        let program = try ProgramBuilder.program(graph, weights: weights, threads: 1)
        #expect(program.plan.size == 2 * 16 * 12 * 12 * 12)
        #expect(try trace.compiled(x).error < 2e-5)
    }
}
