import Networks
import TensorFiles
import TestSupport
import Testing

@testable import NetworkEngine

/// What depends on shared inputs alone is computed once for each of them: it stays where it is in memory.
struct InferenceSharingTests {
    private struct Record {
        let nodes: [NetworkRecorder.Node]
        let computation: SharedComputation
        /// What depends on the first input, on the second, and on both.
        let first, second, both: Int
        private let parameters: [String: Tensor]

        init(_ generator: inout SeededGenerator) {
            let recorder = NetworkRecorder()
            let image = recorder.image(0, shape: [1, 8, 2, 2])
            let inputs = (0..<2).map { recorder.shared($0, shape: [1, 8]) }
            let maps = (0..<2).map { Linear("\($0)", inputs: 8, outputs: 8) }
            let mapped = zip(maps, inputs).map { $0($1, with: recorder) }
            let sum = recorder.sum(mapped[0], mapped[1])
            let modulated = recorder.modulated(image, scale: mapped[0], shift: mapped[1])
            _ = recorder.shifted(modulated, by: sum)
            nodes = recorder.nodes
            (first, second, both) = (mapped[0].index, mapped[1].index, sum.index)
            var parameters: [String: Tensor] = [:]
            for parameter in maps.flatMap(\.parameters) {
                parameters[parameter.name] = randomTensor(parameter.shape, &generator)
            }
            self.parameters = parameters
            computation = SharedComputation(nodes, parameters: parameters)
        }

        /// What a computation gives that remembers nothing.
        func forgetful(_ inputs: [Tensor]) -> [Float] {
            let values = SharedComputation(nodes, parameters: parameters).values(of: inputs)
            return (0..<8).map { values[both][$0] }
        }

        /// Where the three are, for some inputs.
        func places(_ inputs: [Tensor]) -> (values: SharedValues, first: Place, second: Place, both: Place) {
            let values = computation.values(of: inputs)
            return (values, values[first], values[second], values[both])
        }

        typealias Place = UnsafePointer<Float>
    }

    @Test func whatFollowsFromOneInputIsComputedOnce() {
        var generator = SeededGenerator(seed: 1)
        let record = Record(&generator)
        let (time, later, key) = (
            randomTensor([1, 8], &generator), randomTensor([1, 8], &generator),
            randomTensor([1, 8], &generator)
        )
        let once = record.places([time, key])
        let again = record.places([time, key])
        #expect(again.first == once.first && again.second == once.second && again.both == once.both)
        let afterwards = record.places([later, key])
        #expect(afterwards.first != once.first)
        #expect(afterwards.second == once.second)
        #expect(afterwards.both != once.both)
        // Both times are remembered.
        let back = record.places([time, key])
        #expect(back.first == once.first && back.both == once.both)
    }

    @Test func whatIsRememberedIsWhatIsComputed() async {
        await checkLaw(cases: 20) { generator in
            let record = Record(&generator)
            let inputs = (0..<7).map { _ in randomTensor([1, 8], &generator) }
            for _ in 0..<30 {
                let chosen = (0..<2).map { _ in inputs.randomElement(using: &generator)! }
                let found = record.places(chosen)
                try #require((0..<8).map { found.both[$0] } == record.forgetful(chosen))
            }
        }
    }
}
