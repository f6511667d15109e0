import Networks
import TensorTestSupport
import TestSupport
import Testing

@testable import NetworkEngine

/// Memory: images that are needed at the same time lie apart, and an evaluation takes what the plan says.
struct InferenceArenaTests {
    /// The program of a random network, and the network compiled.
    private func program(
        threads: Int, _ generator: inout SeededGenerator
    ) throws -> (program: Program, compiled: CompiledNetwork, trace: PlainTrace) {
        let trace = PlainTrace(&generator)
        var network = RandomNetwork(trace, &generator)
        for _ in 0..<generator.size(in: 1...20) { network.grow(&generator) }
        let graph = trace.builder.graph(endingIn: network.some(&generator))
        let options = ComputeOptions(threads: threads)
        let parameters = trace.parameters(of: graph)
        let weights = try LayerWeights(graph, options: options) { parameters[$0.name]! }
        return (
            try ProgramBuilder.program(graph, weights: weights, threads: threads),
            try trace.compile(graph, options: options), trace
        )
    }

    @Test func imagesNeededAtTheSameTimeLieApart() async {
        await checkLaw(cases: 150) { generator in
            let program = try program(threads: 2, &generator).program
            let (steps, plan) = (program.steps, program.plan)
            // Step by step: what is written now must leave alone whatever is read now or later, but was written.
            for (index, step) in steps.enumerated() {
                let later = steps[index...].reduce(into: program.result.images) { $0.formUnion($1.reads) }
                let alive = later.filter { image in steps[..<index].contains { $0.writes == image } }
                let written = place(step.writes, plan)
                try #require(written.upperBound <= plan.size && written.lowerBound % 16 == 0)
                // What no later step reads may make room for what replaces it pixel by pixel.
                let next = steps[(index + 1)...].reduce(into: program.result.images) { $0.formUnion($1.reads) }
                for image in alive
                where image != step.writes && (next.contains(image) || image != step.replaces) {
                    try #require(
                        !written.overlaps(place(image, plan)), "\(step.writes) is written over \(image)")
                }
                try #require(step.scratchSize(threads: 2) <= plan.scratchSize)
                // Nothing is read, and no moments are used, before they are there.
                for image in step.reads.union(step.measures) {
                    try #require(steps[...index].contains { $0.writes == image })
                }
                for image in step.measures {
                    try #require(
                        steps[..<index].contains {
                            $0.writes == image && ($0.computesMoments || $0 is MeasureStep)
                        })
                }
            }
        }
    }

    private func place(_ image: Int, _ plan: ArenaPlan) -> Range<Int> {
        plan.offsets[image]..<plan.offsets[image] + plan.images[image].size
    }

    @Test func anEvaluationTakesWhatThePlanSays() async throws {
        await checkLaw(cases: 10) { generator in
            for threads in [1, 3] {
                let (program, compiled, trace) = try program(threads: threads, &generator)
                let extents = Array(trace.images[0].shape[2...])
                let size = try compiled.workspaceSize(extents)
                try #require(size == 4 * (program.plan.size + program.plan.scratchSize))
                for _ in 0..<3 { _ = try compiled(images: trace.images, shared: trace.shared) }
                try #require(try compiled.workspaceSize(extents) == size)
            }
        }
    }

    /// Images that follow one another share memory: the arena does not grow with the length of a chain.
    @Test func aLongChainTakesNoMoreThanAShortOne() throws {
        let sizes = try [2, 20].map { length in
            var generator = SeededGenerator(seed: 1)
            let trace = PlainTrace(&generator)
            var x = trace.image(32, 8, 8)
            for index in 0..<length {
                x = Convolution("\(index)", inputs: 32, outputs: 32, kernel: [3, 3])(x).silu()
            }
            return try trace.compile(trace.builder.graph(endingIn: x), options: ComputeOptions())
                .workspaceSize([8, 8])
        }
        #expect(sizes[0] == sizes[1])
    }
}
