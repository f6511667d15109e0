import Networks
import TensorFiles
import TestSupport
import Testing

@testable import NetworkEngine

/// Several networks and losses on one tape, frozen parameters, and the codebook.
struct GradientTapeTests {
    private static func network(_ name: String, _ channels: Int, _ outputs: Int) -> ComposedNetwork {
        let convolution = Convolution("\(name).1", inputs: channels, outputs: 8, kernel: [3, 3, 3])
        let norm = GroupNorm("\(name).2", channels: 8, groups: 4)
        let last = Convolution("\(name).3", inputs: 8, outputs: outputs, kernel: [3, 3, 3])
        return ComposedNetwork(shapes: [[channels, 5, 4, 6]]) {
            last($0[0].segment { norm(convolution($0)).silu() })
        }
    }

    private let first = network("a", 2, 3)
    private let second = network("b", 3, 2)

    private struct Case {
        var parameters: [String: Tensor]
        let x, slope, otherSlope: Tensor

        init(_ networks: [ComposedNetwork], _ generator: inout SeededGenerator) {
            parameters = networks.flatMap(\.parameters).reduce(into: [:]) {
                $0[$1.name] = randomTensor($1.shape, &generator)
            }
            x = randomTensor([2, 2, 5, 4, 6], &generator)
            slope = randomTensor([2, 2, 5, 4, 6], &generator)
            otherSlope = randomTensor([2, 3, 5, 4, 6], &generator)
        }
    }

    private func agree(_ a: Tensor, _ b: Tensor, _ name: String = "") throws {
        try #require(a.shape == b.shape)
        try #require(relativeL2(a.values, b.values) < 1e-5, "\(name)")
    }

    /// Tapes of two networks, one after the other, give what one tape of both gives.
    @Test(arguments: [false, true])
    func networksFollowEachOther(recomputes: Bool) async {
        await checkLaw(cases: 3) { generator in
            let a = Case([first, second], &generator)
            let gradients = NetworkGradients(recomputesActivations: recomputes)
            let tape = gradients.tape(a.parameters)
            let x = tape.input(a.x, wantsGradient: true)
            let middle = try tape.evaluate(first, images: [x])
            let last = try tape.evaluate(second, images: [middle])
            try tape.differentiate([(last, a.slope), (middle, a.otherSlope)])

            let upper = gradients.tape(a.parameters)
            let input = upper.input(tape.tensor(middle), wantsGradient: true)
            try upper.differentiate([(upper.evaluate(second, images: [input]), a.slope)])
            let lower = gradients.tape(a.parameters)
            let own = lower.input(a.x, wantsGradient: true)
            let result = try lower.evaluate(first, images: [own])
            try lower.differentiate([(result, upper.gradient(of: input)), (result, a.otherSlope)])
            try agree(tape.gradient(of: x), lower.gradient(of: own))
            for (name, gradient) in tape.gradients {
                try agree(gradient, name.hasPrefix("a") ? lower.gradients[name]! : upper.gradients[name]!, name)
            }
            #expect(upper.gradients.keys.allSatisfy { $0.hasPrefix("b") })
        }
    }

    /// A network that is used twice has the sum of both gradients.
    @Test func gradientsAddUp() async {
        await checkLaw(cases: 3) { generator in
            let a = Case([first, second], &generator)
            let gradients = NetworkGradients()
            let tape = gradients.tape(a.parameters)
            let once = try tape.evaluate(
                second, images: [tape.evaluate(first, images: [tape.input(a.x)])])
            let twice = try tape.evaluate(second, images: [tape.evaluate(first, images: [once])])
            try tape.differentiate([(twice, a.slope)])

            var sum = [String: Tensor]()
            var slope = a.slope
            for x in [tape.tensor(once), a.x] {
                let part = gradients.tape(a.parameters)
                let input = part.input(x, wantsGradient: true)
                try part.differentiate([
                    (part.evaluate(second, images: [part.evaluate(first, images: [input])]), slope)
                ])
                slope = part.gradient(of: input)
                sum.merge(part.gradients) { a, b in
                    Tensor(shape: a.shape, values: zip(a.values, b.values).map { $0 + $1 })
                }
            }
            for (name, gradient) in tape.gradients { try agree(gradient, sum[name]!, name) }
        }
    }

    @Test(arguments: [false, true])
    func frozenParametersChangeNothing(recomputes: Bool) async {
        await checkLaw(cases: 3) { generator in
            let a = Case([first, second], &generator)
            let gradients = NetworkGradients(recomputesActivations: recomputes)
            func run(_ trains: @escaping (String) -> Bool) throws -> [String: Tensor] {
                let tape = gradients.tape(a.parameters, trains: trains)
                let middle = try tape.evaluate(first, images: [tape.input(a.x)])
                try tape.differentiate([(tape.evaluate(second, images: [middle]), a.slope)])
                return tape.gradients
            }
            let all = try run { _ in true }
            for trained in ["a", "b", "a.1", "b.2", "a.3.bias"] {
                try #require(
                    try run { $0.hasPrefix(trained) } == all.filter { $0.key.hasPrefix(trained) })
            }
            try #require(try run { _ in false }.isEmpty)
        }
    }

    /// Gradients of some parameters alone have the same bits, and leave the tape as it is.
    @Test(arguments: [false, true])
    func someGradientsAlone(recomputes: Bool) async {
        await checkLaw(cases: 3) { generator in
            let a = Case([first, second], &generator)
            let gradients = NetworkGradients(recomputesActivations: recomputes)
            let tape = gradients.tape(a.parameters)
            let last = try tape.evaluate(
                second, images: [tape.evaluate(first, images: [tape.input(a.x)])])
            let some = try ["b.3.weight", "b.1.bias", "a.2.weight"].map {
                try tape.gradients(of: [$0], from: [(last, a.slope)])
            }
            try #require(tape.gradients.isEmpty)
            try tape.differentiate([(last, a.slope)])
            for (name, gradient) in some.joined() { try #require(tape.gradients[name] == gradient) }
            try #require(some.map(\.count) == [1, 1, 1])
        }
    }

    @Test func codebookPassesGradientsStraightThrough() async {
        await checkLaw(cases: 10) { generator in
            let width = generator.size(in: 1...20)
            let codebook = Codebook("q", entries: generator.size(in: 1...40), width: width)
            let x = randomTensor([2, width, 3, 2, 4], &generator)
            let entries = randomTensor(codebook.weight.shape, &generator)
            let slopes = (randomTensor(x.shape, &generator), randomTensor(x.shape, &generator))
            let tape = NetworkGradients(options: ComputeOptions(threads: generator.size(in: 1...3)))
                .tape(["q.weight": entries])
            let input = tape.input(x, wantsGradient: true)
            let result = tape.quantised(input, by: codebook)
            try #require(tape.tensor(result.quantised) == x.nearest(in: entries))
            try #require(tape.tensor(result.entries) == x.nearest(in: entries))
            try tape.differentiate([(result.quantised, slopes.0), (result.entries, slopes.1)])
            try #require(tape.gradient(of: input) == slopes.0)
            var sums = Tensor(shape: entries.shape)
            for (element, entry) in x.nearestEntries(of: entries).enumerated() {
                for channel in 0..<width {
                    let place = (element / 24 * width + channel) * 24 + element % 24
                    sums.values[entry * width + channel] += slopes.1.values[place]
                }
            }
            try #require(
                largestDifference(tape.gradient(of: codebook.weight).values, sums.values) < 1e-5)
        }
    }

    /// A batch with several targets gives each item what it has alone.
    @Test func targetsOfEachItem() async {
        await checkLaw(cases: 3) { generator in
            var configuration = AutoencoderConfiguration()
            (configuration.latentChannels, configuration.codeWidth) = (3, 3)
            (configuration.translatorWidth, configuration.translatorHidden) = (6, 5)
            configuration.translator = Bool.random(using: &generator) ? .table : .residual
            let targets = [2, 0, 2]
            let network = SpadeTranslator(configuration, targets: targets)
            let parameters = network.parameters.reduce(into: [String: Tensor]()) {
                $0[$1.name] = randomTensor($1.shape, in: -0.2...0.2, &generator)
            }
            let x = randomTensor([3, 3, 4, 5, 3], &generator)
            let slope = randomTensor(x.shape, &generator)
            let gradients = NetworkGradients()
            let tape = gradients.tape(parameters)
            let input = tape.input(x, wantsGradient: true)
            let result = try tape.evaluate(network, images: [input])
            try tape.differentiate([(result, slope)])
            var sum = [String: Tensor]()
            for (item, target) in targets.enumerated() {
                func part(_ tensor: Tensor) -> Tensor { tensor.slice(axis: 0, item..<item + 1) }
                let alone = gradients.tape(parameters)
                let own = alone.input(part(x), wantsGradient: true)
                let output = try alone.evaluate(
                    SpadeTranslator(configuration, target: target), images: [own])
                try agree(alone.tensor(output), part(tape.tensor(result)))
                try alone.differentiate([(output, part(slope))])
                try agree(alone.gradient(of: own), part(tape.gradient(of: input)))
                sum.merge(alone.gradients) { a, b in
                    Tensor(shape: a.shape, values: zip(a.values, b.values).map { $0 + $1 })
                }
            }
            try #require(Set(sum.keys) == Set(tape.gradients.keys))
            for (name, gradient) in sum { try agree(gradient, tape.gradients[name]!, name) }
        }
    }
}
