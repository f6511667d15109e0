import Networks
import TensorTestSupport
import TestSupport
import Testing

@testable import NetworkEngine

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
                stride: [stride, stride])(x)
        }
    }

    @Test(arguments: [[1], [3]], [1, 2])
    func convolutionsOfLargePlanes(kernel: [Int], stride: Int) async {
        await agrees(cases: 3) { a, generator in
            let x = a.image(
                generator.size(in: 1...20), generator.size(in: 50...70), generator.size(in: 50...99))
            _ = Convolution(
                "c", inputs: x.shape[1], outputs: 18, kernel: kernel + kernel, stride: [stride, stride])(
                    x)
        }
    }

    @Test func functionsAlone() async {
        await agrees { a, generator in
            let x = a.image(
                generator.size(in: 1...40), 2 * generator.size(in: 1...5), 2 * generator.size(in: 1...5))
            let shape = [1, x.shape[1]]
            _ = [x.silu(), x.gelu(), x.averagePooled(), x.upsampled(), x + x]
            _ = x.shifted(by: a.shared(shape))
            _ = x.modulated(scale: a.shared(shape), shift: a.shared(shape))
            _ = x * x.gelu()
            _ = x.gelu() * x.silu()
            let flat = x.reshaped([1, x.shape[1], x.shape[2] * x.shape[3]])
            _ = flat.transposed().transposed().reshaped(x.shape)
        }
    }

    @Test func functionsUponFunctions() async {
        await agrees(cases: 6) { a, generator in
            let x = a.image(
                generator.size(in: 1...20), 4 * generator.size(in: 1...2), 4 * generator.size(in: 1...2))
            let shift = a.shared([1, x.shape[1]])
            let functions: [(GraphValue) -> GraphValue] = [
                { $0.silu() }, { $0.gelu() }, { $0.averagePooled() }, { $0.upsampled() },
                { $0.shifted(by: shift) },
                { $0.modulated(scale: shift, shift: shift) }, { $0 + $0 },
                { Convolution("1", inputs: x.shape[1], outputs: x.shape[1], kernel: [1, 1])($0) },
                { Convolution("3", inputs: x.shape[1], outputs: x.shape[1], kernel: [3, 3])($0) },
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
            let first = norms[0](x)
            let second = norms[1](first.shifted(by: shift))
            _ = convolution(second.modulated(scale: shift, shift: shift).silu())
            let others = [
                x.silu(), x.gelu(), x.upsampled(), x.averagePooled(), x + x, convolution(x),
            ]
            for y in others {
                let normed = norms[2](y)
                _ = convolution(normed.silu())
            }
            let halved = first.silu().averagePooled()
            _ = convolution(halved)
            _ = convolution(first.silu().upsampled())
        }
    }

    @Test func groupNormsOfAnyGroups() async {
        await agrees { a, generator in
            let groups = generator.size(in: 1...5)
            let channels = groups * generator.size(in: 1...7)
            let norm = GroupNorm("n", channels: channels, groups: groups, epsilon: 0.01)
            let layer = Convolution("c", inputs: channels, outputs: 5, kernel: [3, 3], hasBias: false)
            _ = layer(norm(a.image(channels, 4, 5)).silu())
        }
    }

    @Test func joiningAndSplittingChannels() async {
        await agrees(cases: 20) { a, generator in
            let (rows, columns) = (generator.size(in: 1...5), generator.size(in: 1...7))
            let counts = [[3, 5], [16, 3], [3, 16], [32, 16], [16, 32, 7], [1, 17, 1]].randomElement(
                using: &generator)!
            let parts = counts.map { a.image($0, rows, columns) }
            let whole = GraphValue.concatenated(parts, axis: 1)
            let first = Int.random(in: 0..<whole.shape[1], using: &generator)
            let range = first..<Int.random(in: first + 1...whole.shape[1], using: &generator)
            let part = whole.slice(axis: 1, range)
            _ = GraphValue.concatenated([part.silu(), whole, part], axis: 1)
            _ = Convolution("c", inputs: range.count, outputs: 5, kernel: [3, 3])(part)
        }
    }

    @Test func sums() async {
        await agrees { a, generator in
            let channels = 32
            let (x, y) = (a.image(channels, 3, 5), a.image(channels, 3, 5))
            let convolution = { (name: String) in
                Convolution(name, inputs: channels, outputs: channels, kernel: [3, 3])
            }
            let norm = GroupNorm("n", channels: channels)
            _ = x + y
            _ = x.silu() + norm(y)
            _ = x.gelu() + y.gelu()
            let (left, right) = (convolution("a")(x), convolution("b")(y))
            let both = left + right
            _ = both + left
            _ = (convolution("c")(x) + norm(x).silu()) + convolution("d")(both)
            _ = (convolution("e")(x) + x) + norm(both)
        }
    }
}
