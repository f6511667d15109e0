import Networks
import TensorFiles
import TestSupport
import Testing

@testable import NetworkEngine

/// Gradients of the layers of volumes against differences, with the same bits on any number of threads and recomputed.
struct GradientVolumeTests {
    private static func extents(_ generator: inout SeededGenerator, in range: ClosedRange<Int>) -> [Int] {
        (0..<3).map { _ in generator.size(in: range) }
    }

    /// The kernels, strides and paddings of the models, and others.
    @Test func convolutions() async {
        await checkLaw(cases: 40) { generator in
            let kinds: [(kernel: Int, stride: Int, before: Int, after: Int)] = [
                (3, 1, 1, 1), (3, 2, 0, 1), (3, 2, 1, 1), (7, 1, 3, 3), (4, 2, 1, 1), (4, 1, 1, 1),
                (1, 1, 0, 0), (1, 2, 0, 0), (2, 1, 0, 2), (5, 2, 3, 1),
            ]
            let kind = kinds.randomElement(using: &generator)!
            let size = Self.extents(&generator, in: 3...9)
            let channels = generator.size(in: 1...40)
            let padding = Convolution.Padding(before: kind.before, after: kind.after)
            let layer = Convolution(
                "c", inputs: channels, outputs: generator.size(in: 1...40),
                kernel: [Int](repeating: kind.kernel, count: 3),
                stride: [Int](repeating: kind.stride, count: 3),
                padding: [padding, padding, padding], hasBias: Bool.random(using: &generator))
            guard layer.extents(of: size).allSatisfy({ $0 > 0 }) else { return }
            try checkGradients(
                ComposedNetwork(shapes: [[channels] + size]) { layer($0[0]) },
                batch: generator.size(in: 1...3), step: 1, tolerance: 1e-3, &generator)
        }
    }

    @Test(arguments: 1...3)
    func convolutionsOfAnyKernel(axes: Int) async {
        await checkLaw(cases: 20) { generator in
            let kernel = (0..<axes).map { _ in generator.size(in: 1...4) }
            let padding = kernel.map {
                Convolution.Padding(
                    before: generator.size(in: 0...$0 - 1), after: generator.size(in: 0...3))
            }
            let size = kernel.map { $0 + generator.size(in: 0...5) }
            let (channels, stride) = (generator.size(in: 1...20), generator.size(in: 1...2))
            let layer = Convolution(
                "c", inputs: channels, outputs: generator.size(in: 1...20), kernel: kernel,
                stride: kernel.map { _ in stride }, padding: padding, hasBias: Bool.random(using: &generator))
            // With a stride of 2, zeros as wide as the places of one phase are too wide.
            guard KernelGeometry(layer)?.backwardPhases(of: Extents(size)) != nil else { return }
            try checkGradients(
                ComposedNetwork(shapes: [[channels] + size]) { layer($0[0]) },
                batch: generator.size(in: 1...2), step: 1, tolerance: 1e-3, &generator)
        }
    }

    /// Several slabs of planes and of rows of tiles.
    @Test(arguments: [[40, 10, 12], [9, 33, 30], [3, 70, 20], [1, 60, 60], [30, 3, 3]])
    func convolutionsOfLargeVolumes(size: [Int]) async {
        await checkLaw(cases: 1) { generator in
            let channels = generator.size(in: 1...20)
            let first = Convolution("1", inputs: channels, outputs: 18, kernel: [3, 3, 3])
            let second = Convolution(
                "2", inputs: 18, outputs: 5, kernel: [3, 3, 3], stride: [2, 2, 2])
            try checkGradients(
                ComposedNetwork(shapes: [[channels] + size]) { first($0[0]) }, step: 1, tolerance: 1e-3,
                &generator)
            try checkGradients(
                ComposedNetwork(shapes: [[18] + size]) { second($0[0]) }, step: 1, tolerance: 1e-3,
                &generator)
        }
    }

    /// Any groups and epsilon, with and without scales, of blocks of channels that are not full.
    @Test func normalizations() async {
        await checkLaw(cases: 20) { generator in
            let groups = generator.size(in: 1...5)
            let channels = groups * generator.size(in: 1...9)
            let norm = GroupNorm(
                "n", channels: channels, groups: Bool.random(using: &generator) ? groups : channels,
                epsilon: [1e-5, 1e-2].randomElement(using: &generator)!,
                isAffine: Bool.random(using: &generator))
            let size = Self.extents(&generator, in: 2...5)
            try checkGradients(
                ComposedNetwork(shapes: [[channels] + size]) { norm($0[0]) },
                batch: generator.size(in: 1...3), &generator)
        }
    }

    @Test func functions() async {
        await checkLaw(cases: 20) { generator in
            let channels = generator.size(in: 1...20)
            let shape = [channels] + Self.extents(&generator, in: 1...4)
            let functions: [@Sendable ([GraphValue]) -> GraphValue] = [
                { $0[0].relu() }, { $0[0].leakyReLU(slope: 0.2) }, { $0[0].silu() }, { $0[0].gelu() },
                { $0[0] * $0[1] }, { $0[0].modulated(scale: $0[1], shift: $0[2]) },
                { $0[0].upsampled() }, { .concatenated([$0[0], $0[1], $0[0]], axis: 1) },
                { .concatenated([$0[0], $0[1]], axis: 0) },
                { $0[0].slice(axis: 0, 1..<3) * $0[1].slice(axis: 0, 0..<2) },
                { $0[0].segment { $0.silu() * $0 } + $0[1].segment { $0.gelu() } },
            ]
            let compose = functions.randomElement(using: &generator)!
            try checkGradients(
                ComposedNetwork(shapes: [shape, shape, shape], compose: compose), batch: 3, step: 1e-3,
                tolerance: 2e-2, &generator)
        }
    }

    /// More tokens than are kept at a time, of one head or several.
    @Test func attention() async {
        await checkLaw(cases: 6) { generator in
            let heads = generator.size(in: 1...3)
            let channels = heads * generator.size(in: 1...20)
            let (tokens, context) = (generator.size(in: 1...200), generator.size(in: 1...200))
            try checkGradients(
                ComposedNetwork(shapes: [[channels, tokens], [channels, context], [channels, context]]) {
                    $0[0].transposed().attention(
                        keys: $0[1].transposed(), values: $0[2].transposed(), heads: heads)
                }, batch: generator.size(in: 1...2), &generator)
        }
    }
}
