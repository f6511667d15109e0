import BridgeTraining
import NetworkEngine
import Networks
import TensorFiles
import TestSupport
import Testing

@testable import LatentTraining

/// New values for codes that nothing uses.
struct CodebookRestartTests {
    /// Two channels of some elements, and the nearest of some codes.
    private func encoded(_ features: [SIMD2<Float>], _ codes: [SIMD2<Float>]) -> EncodedExample {
        let indices = features.map { element in
            codes.indices.min {
                let (a, b) = (element - codes[$0], element - codes[$1])
                return (a * a).sum() < (b * b).sum()
            }!
        }
        func tensor(_ points: [SIMD2<Float>]) -> Tensor {
            Tensor(shape: [1, 2, 1, 1, points.count], values: points.map(\.x) + points.map(\.y))
        }
        return EncodedExample(
            features: tensor(features), entries: tensor(indices.map { codes[$0] }), indices: indices)
    }

    private func tensor(_ codes: [SIMD2<Float>]) -> Tensor {
        Tensor(shape: [codes.count, 2], values: codes.flatMap { [$0.x, $0.y] })
    }

    @Test func usedCodesStayAndUnusedOnesTakeFeaturesFarFromTheirCode() async {
        await checkLaw(cases: 50) { generator in
            let codes: [SIMD2<Float>] = [[0, 0], [10, 10], [50, -50], [-50, 50], [90, 90]]
            // Near the first two codes; the elements on a code itself are never drawn.
            let features = (0..<20).map { number -> SIMD2<Float> in
                let near = codes[number % 2]
                return number < 4 ? near : near + SIMD2(generator.floats(1)[0], 1)
            }
            let examples = [encoded(Array(features[..<9]), codes), encoded(Array(features[9...]), codes)]
            var tensor = tensor(codes)
            let seed = generator.next()
            tensor.restart(unusedBy: examples, step: 7, randomness: Randomness(seed: seed))
            #expect(Array(tensor.values[..<4]) == [0, 0, 10, 10])
            let moving = Set(features[4...])
            for code in 2..<5 {
                #expect(moving.contains([tensor.values[2 * code], tensor.values[2 * code + 1]]))
            }
            // A function of the seed and the step.
            var again = self.tensor(codes)
            again.restart(unusedBy: examples, step: 7, randomness: Randomness(seed: seed))
            #expect(again == tensor)
        }
    }

    @Test func nothingMovesWhereEveryElementIsACode() {
        let codes: [SIMD2<Float>] = [[0, 0], [1, 1], [2, 2]]
        var tensor = tensor(codes)
        tensor.restart(
            unusedBy: [encoded([[0, 0], [1, 1]], codes)], step: 0, randomness: Randomness(seed: 1))
        #expect(tensor == self.tensor(codes))
    }

    @Test func aCollapsedCodebookComesIntoUse() throws {
        let sizes = try SmallCohort.configuration().model.firstStage
        var losses = AutoencoderLosses()
        losses.adversarial.weight = 0
        (losses.restarts.interval, losses.restarts.end) = (10, 11)
        let objective = AutoencoderObjective(sizes, losses: losses)
        var parameters = try LatentParameters(SmallCohort.configuration().model, seed: 3).firstStage
        let name = "quantize.embedding.weight"
        // All far away but the first.
        let codes = sizes.codes
        parameters[name] = Tensor(
            shape: [codes, 2], values: (0..<2 * codes).map { $0 < 2 ? 0 : 1000 + Float($0) })
        var generator = SeededGenerator(seed: 5)
        let volumes = (0..<16).map { _ in
            AutoencoderObjective.Example(
                volume: Tensor(shape: [1, 1, 8, 8, 8], values: generator.floats(512)), source: 0, target: 1)
        }
        let engine = NetworkGradients(options: ComputeOptions(threads: 1))
        func unused() throws -> Double {
            try #require(
                objective(parameters, volumes, in: LatentPhase(), engine: engine).parts["unused_codes"])
        }
        #expect(try unused() == 1 - 1 / Double(codes))
        func restarted(at step: Int) throws -> [String: Tensor]? {
            try objective.restarted(parameters, at: step, randomness: Randomness(seed: 2), engine: engine) {
                Array(volumes.prefix($0))
            }
        }
        #expect(try restarted(at: 5) == nil)
        #expect(try restarted(at: 20) == nil)
        parameters.merge(try #require(try restarted(at: 10))) { $1 }
        #expect(try unused() < 0.5)
    }
}
