import Foundation
import Networks
import ReferenceUNet
import TensorFiles
import TestSupport
import Testing

struct UNetTests {
    @Test func anItemHasTheSameBitsInAnyBatch() async throws {
        var generator = SeededGenerator(seed: 1)
        let network = try network(of: UNetConfiguration.small.randomParameters(&generator))
        await checkLaw(cases: 10) { generator in
            let inputs = Inputs(.small, batch: 4, rows: 6, columns: 10, &generator)
            let whole = try inputs.evaluate(network)
            let some = (0..<Int.random(in: 1...5, using: &generator)).map { _ in
                Int.random(in: 0..<4, using: &generator)
            }
            let found = try inputs.items(some).evaluate(network)
            for (place, item) in some.enumerated() {
                try #require(
                    found.slice(axis: 0, place..<place + 1) == whole.slice(axis: 0, item..<item + 1))
            }
        }
    }

    @Test func anItemHasTheSameBitsOnAnyNumberOfThreads() throws {
        var generator = SeededGenerator(seed: 2)
        let network = try network(of: UNetConfiguration.small.randomParameters(&generator))
        let inputs = Inputs(.small, batch: 5, rows: 24, columns: 20, &generator)
        let expected = try inputs.evaluate(network)
        for threads in [1, 2, 5] {
            let found = OutputsByItem()
            // Each thread evaluates every item, beginning with another, so that different work meets.
            DispatchQueue.concurrentPerform(iterations: threads) { thread in
                for step in 0..<5 {
                    let item = (thread + step) % 5
                    found.append((try? inputs.items([item]).evaluate(network)), item: item)
                }
            }
            #expect(found.outputs.count == 5 * threads)
            for (item, output) in found.outputs {
                #expect(output == expected.slice(axis: 0, item..<item + 1))
            }
        }
    }

    @Test func theOutputDependsOnEveryInput() throws {
        var generator = SeededGenerator(seed: 3)
        let network = try network(of: UNetConfiguration.small.randomParameters(&generator))
        let inputs = Inputs(.small, batch: 1, rows: 8, columns: 8, &generator)
        let output = try inputs.evaluate(network)
        let changes: [(inout Inputs) -> Void] = [
            { $0.x[0, 0, 0, 0] += 1 }, { $0.y[0, 2, 7, 7] += 1 }, { $0.timesteps[0] += 1 },
            { $0.key?[0, 2, 7] += 1 },
        ]
        for change in changes {
            var changed = inputs
            change(&changed)
            #expect(try changed.evaluate(network) != output)
        }
    }

    @Test func namesMayHaveThePublishedPrefix() throws {
        var generator = SeededGenerator(seed: 4)
        let parameters = UNetConfiguration.small.randomParameters(&generator)
        let inputs = Inputs(.small, batch: 1, rows: 4, columns: 4, &generator)
        let plain = try inputs.evaluate(network(of: parameters))
        #expect(try inputs.evaluate(network(of: parameters, prefix: "denoise_fn.")) == plain)
    }

    @Test func anEmptyBatchGivesAnEmptyOutput() throws {
        var generator = SeededGenerator(seed: 5)
        let network = try network(of: UNetConfiguration.small.randomParameters(&generator))
        let inputs = Inputs(.small, batch: 0, rows: 4, columns: 4, &generator)
        #expect(try inputs.evaluate(network).shape == [0, 3, 4, 4])
    }

    @Test func inputsThatDoNotFitAreNamed() throws {
        var generator = SeededGenerator(seed: 6)
        let network = try network(of: UNetConfiguration.small.randomParameters(&generator))
        let inputs = Inputs(.small, batch: 2, rows: 4, columns: 6, &generator)
        let changes: [(name: String, change: (inout Inputs) -> Void)] = [
            ("x", { $0.x = Tensor(shape: [2, 3, 24]) }),
            ("x", { $0.x = Tensor(shape: [2, 5, 4, 6]) }),
            ("x", { $0.x = Tensor(shape: [2, 3, 5, 6]) }),
            ("x", { $0.x = Tensor(shape: [2, 3, 4, 0]) }),
            ("y", { $0.y = Tensor(shape: [2, 3, 4, 8]) }),
            ("timesteps", { $0.timesteps = [1] }),
            ("key", { $0.key = nil }),
            ("key", { $0.key = Tensor(shape: [1, 3, 8]) }),
            ("key", { $0.key = Tensor(shape: [2, 3, 128]) }),
        ]
        for (expected, change) in changes {
            var changed = inputs
            change(&changed)
            let error = #expect(throws: UNetError.self) { try changed.evaluate(network) }
            guard case .input(let name, _, _) = error else {
                Issue.record("found \(String(describing: error))")
                continue
            }
            #expect(name == expected)
        }
    }

    @Test func aNetworkWithoutKeyTakesNone() throws {
        var configuration = UNetConfiguration.small
        configuration.usesSpatialTransformer = false
        configuration.contextWidth = nil
        var generator = SeededGenerator(seed: 7)
        let network = try network(configuration, of: configuration.randomParameters(&generator))
        var inputs = Inputs(configuration, batch: 1, rows: 4, columns: 4, &generator)
        #expect(try inputs.evaluate(network).shape == [1, 3, 4, 4])
        inputs.key = Tensor(shape: [1, 3, 8])
        #expect(throws: UNetError.self) { try inputs.evaluate(network) }
    }
}

/// Outputs that several threads give, each with its item.
private final class OutputsByItem: @unchecked Sendable {
    private let lock = NSLock()
    private(set) var outputs: [(item: Int, output: Tensor?)] = []

    func append(_ output: Tensor?, item: Int) { lock.withLock { outputs.append((item, output)) } }
}
