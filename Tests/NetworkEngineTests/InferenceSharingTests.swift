import Networks
import TensorFiles
import TestSupport
import Testing

@testable import NetworkEngine

/// What depends on shared inputs alone is computed once for each of them: it stays where it is in memory.
struct InferenceSharingTests {
    private struct Record {
        let computation: SharedComputation
        /// What depends on the first input, on the second, and on both.
        let first, second, both: Int
        private let graph: Graph
        private let parameters: [String: Tensor]

        init(_ generator: inout SeededGenerator) {
            let builder = GraphBuilder()
            let image = builder.image([1, 8, 2, 2])
            let inputs = (0..<2).map { _ in builder.shared([1, 8]) }
            let maps = (0..<2).map { Linear("\($0)", inputs: 8, outputs: 8) }
            let mapped = zip(maps, inputs).map { $0($1) }
            let sum = mapped[0] + mapped[1]
            graph = builder.graph(
                endingIn: image.modulated(scale: mapped[0], shift: mapped[1]).shifted(by: sum))
            (first, second, both) = (mapped[0].index, mapped[1].index, sum.index)
            var parameters: [String: Tensor] = [:]
            for parameter in maps.flatMap(\.parameters) {
                parameters[parameter.name] = randomTensor(parameter.shape, &generator)
            }
            self.parameters = parameters
            computation = SharedComputation(graph, parameters: parameters)
        }

        /// What a computation gives that remembers nothing.
        func forgetful(_ inputs: [Tensor]) throws -> [Float] {
            let values = try SharedComputation(graph, parameters: parameters).values(of: inputs)
            return (0..<8).map { values[both].start[$0] }
        }

        /// Where the three are, for some inputs.
        func places(_ inputs: [Tensor]) throws -> (first: FloatBuffer, second: FloatBuffer, both: FloatBuffer) {
            let values = try computation.values(of: inputs)
            return (values[first], values[second], values[both])
        }
    }

    @Test func whatFollowsFromOneInputIsComputedOnce() throws {
        var generator = SeededGenerator(seed: 1)
        let record = Record(&generator)
        let (time, later, key) = (
            randomTensor([1, 8], &generator), randomTensor([1, 8], &generator),
            randomTensor([1, 8], &generator)
        )
        let once = try record.places([time, key])
        let again = try record.places([time, key])
        #expect(again.first === once.first && again.second === once.second && again.both === once.both)
        let afterwards = try record.places([later, key])
        #expect(afterwards.first !== once.first)
        #expect(afterwards.second === once.second)
        #expect(afterwards.both !== once.both)
        // Both times are remembered.
        let back = try record.places([time, key])
        #expect(back.first === once.first && back.both === once.both)
    }

    @Test func whatIsRememberedIsWhatIsComputed() async {
        await checkLaw(cases: 20) { generator in
            let record = Record(&generator)
            let inputs = (0..<7).map { _ in randomTensor([1, 8], &generator) }
            for _ in 0..<30 {
                let chosen = (0..<2).map { _ in inputs.randomElement(using: &generator)! }
                let found = try record.places(chosen)
                try #require(try (0..<8).map { found.both.start[$0] } == record.forgetful(chosen))
            }
        }
    }
}
