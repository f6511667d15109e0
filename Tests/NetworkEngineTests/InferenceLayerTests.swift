import NetworkEngine
import Networks
import TensorTestSupport
import TestSupport
import Testing

/// Layers, alone and in small compositions, compiled: what plain arithmetic gives, at every layer.
struct InferenceLayerTests {
    private func agrees(
        cases: Int = 12, sourceLocation: SourceLocation = #_sourceLocation,
        _ compose: (PlainTrace, inout SeededGenerator) -> Void
    ) async {
        await checkLaw(cases: cases, sourceLocation: sourceLocation) { generator in
            let trace = PlainTrace(&generator)
            compose(trace, &generator)
            for memory in [0, nil] {
                let worst = try trace.worst(options: ComputeOptions(threads: 1, winogradMemory: memory))
                try #require(worst.error < 2e-5, "\(worst.place) is off by \(worst.error)")
            }
        }
    }

    @Test(arguments: [[1], [3], [5]], [1, 2])
    func convolutions(kernel: [Int], stride: Int) async {
        await agrees(cases: 20) { a, generator in
            let x = a.image(generator.size(in: 1...40), generator.size(in: 1...9), generator.size(in: 1...9))
            _ = Convolution(
                "c", inputs: x.shape[1], outputs: generator.size(in: 1...40), kernel: kernel + kernel,
                stride: stride)(x, with: a)
        }
    }

    @Test(arguments: [[1], [3]], [1, 2])
    func convolutionsOfLargePlanes(kernel: [Int], stride: Int) async {
        await agrees(cases: 3) { a, generator in
            let x = a.image(
                generator.size(in: 1...20), generator.size(in: 50...70), generator.size(in: 50...99))
            _ = Convolution("c", inputs: x.shape[1], outputs: 18, kernel: kernel + kernel, stride: stride)(
                x, with: a)
        }
    }

    @Test func functionsAlone() async {
        await agrees { a, generator in
            let x = a.image(
                generator.size(in: 1...40), 2 * generator.size(in: 1...5), 2 * generator.size(in: 1...5))
            let shape = [1, x.shape[1]]
            _ = [a.silu(x), a.gelu(x), a.averagePooled(x), a.upsampled(x), a.sum(x, x)]
            _ = a.shifted(x, by: a.shared(shape))
            _ = a.modulated(x, scale: a.shared(shape), shift: a.shared(shape))
            _ = a.product(x, a.gelu(x))
            _ = a.product(a.gelu(x), a.silu(x))
            let flat = a.reshaped(x, [1, x.shape[1], x.shape[2] * x.shape[3]])
            _ = a.reshaped(a.transposed(a.transposed(flat)), x.shape)
        }
    }

    @Test func functionsUponFunctions() async {
        await agrees(cases: 6) { a, generator in
            let x = a.image(
                generator.size(in: 1...20), 4 * generator.size(in: 1...2), 4 * generator.size(in: 1...2))
            let shift = a.shared([1, x.shape[1]])
            let functions: [(PlainTrace.Value) -> PlainTrace.Value] = [
                a.silu, a.gelu, a.averagePooled, a.upsampled, { a.shifted($0, by: shift) },
                { a.modulated($0, scale: shift, shift: shift) }, { a.sum($0, $0) },
                Convolution("1", inputs: x.shape[1], outputs: x.shape[1], kernel: [1, 1]).on(a),
                Convolution("3", inputs: x.shape[1], outputs: x.shape[1], kernel: [3, 3]).on(a),
            ]
            for first in functions {
                let y = first(x)
                for second in functions { _ = second(y) }
            }
        }
    }

    @Test func groupNorms() async {
        await agrees { a, generator in
            let channels = 32 * generator.size(in: 1...3)
            let x = a.image(channels, 2 * generator.size(in: 1...4), 4 * generator.size(in: 1...2))
            let shift = a.shared([1, channels])
            let norms = (0..<3).map { GroupNorm("n\($0)", channels: channels, epsilon: $0 == 2 ? 1e-6 : 1e-5) }
            let convolution = Convolution("c", inputs: channels, outputs: channels, kernel: [3, 3])
            let first = norms[0](x, with: a)
            let second = norms[1](a.shifted(first, by: shift), with: a)
            _ = convolution(a.silu(a.modulated(second, scale: shift, shift: shift)), with: a)
            let others = [
                a.silu(x), a.gelu(x), a.upsampled(x), a.averagePooled(x), a.sum(x, x), convolution(x, with: a),
            ]
            for y in others {
                let normed = norms[2](y, with: a)
                _ = convolution(a.silu(normed), with: a)
            }
            let halved = a.averagePooled(a.silu(first))
            _ = convolution(halved, with: a)
            _ = convolution(a.upsampled(a.silu(first)), with: a)
        }
    }

    @Test func joiningAndSplittingChannels() async {
        await agrees(cases: 20) { a, generator in
            let (rows, columns) = (generator.size(in: 1...5), generator.size(in: 1...7))
            let counts = [[3, 5], [16, 3], [3, 16], [32, 16], [16, 32, 7], [1, 17, 1]].randomElement(
                using: &generator)!
            let parts = counts.map { a.image($0, rows, columns) }
            let whole = a.concatenated(parts, axis: 1)
            let first = Int.random(in: 0..<whole.shape[1], using: &generator)
            let range = first..<Int.random(in: first + 1...whole.shape[1], using: &generator)
            let part = a.slice(whole, axis: 1, range)
            _ = a.concatenated([a.silu(part), whole, part], axis: 1)
            _ = Convolution("c", inputs: range.count, outputs: 5, kernel: [3, 3])(part, with: a)
        }
    }

    @Test func sums() async {
        await agrees { a, generator in
            let channels = 32
            let (x, y) = (a.image(channels, 3, 5), a.image(channels, 3, 5))
            let convolution = { (name: String) in
                Convolution(name, inputs: channels, outputs: channels, kernel: [3, 3]).on(a)
            }
            let norm = GroupNorm("n", channels: channels)
            _ = a.sum(x, y)
            _ = a.sum(a.silu(x), norm(y, with: a))
            _ = a.sum(a.gelu(x), a.gelu(y))
            let (left, right) = (convolution("a")(x), convolution("b")(y))
            let both = a.sum(left, right)
            _ = a.sum(both, left)
            _ = a.sum(a.sum(convolution("c")(x), a.silu(norm(x, with: a))), convolution("d")(both))
            _ = a.sum(a.sum(convolution("e")(x), x), norm(both, with: a))
        }
    }
}

extension Convolution {
    fileprivate func on(_ arithmetic: PlainTrace) -> (PlainTrace.Value) -> PlainTrace.Value {
        { self($0, with: arithmetic) }
    }
}
