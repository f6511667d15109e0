import Dispatch
import Foundation
import NetworkEngine
import Networks
import ReferenceUNet
import SliceSampling
import StyleKeys
import TensorFiles
import TestSupport
import Testing
import Volumes

/// A window's output has the same bits on any number of threads, alone or among others, in any order and batch.
struct SameBitsTests {
    @Test func onAnyNumberOfThreads() async {
        await checkLaw(cases: 4) { generator in
            let configuration = generator.configuration()
            let parameters = configuration.randomParameters(&generator)
            let multiple = configuration.sizeMultiple
            let inputs = Inputs(
                configuration, batch: 3, rows: multiple * Int.random(in: 3...9, using: &generator),
                columns: multiple * Int.random(in: 3...9, using: &generator), &generator)
            var expected: Tensor?
            for threads in [1, 2, 3, 5] {
                let network = try network(
                    configuration, of: parameters, options: ComputeOptions(threads: threads))
                // One after the other, each spread over all threads.
                let found = try inputs.evaluate(network)
                try #require(found.values.allSatisfy { $0.isFinite })
                try #require(found == expected ?? found, "\(threads) threads give other bits")
                expected = found
                // Many at once, each with its part of the threads, which changes as they come and go.
                let order = (0..<9).map { _ in Int.random(in: 0..<3, using: &generator) }
                let outputs = Outputs(count: order.count)
                DispatchQueue.concurrentPerform(iterations: order.count) { place in
                    outputs[place] = try? inputs.items([order[place]]).evaluate(network)
                }
                for (place, item) in order.enumerated() {
                    try #require(outputs[place] == found.slice(axis: 0, item..<item + 1))
                }
            }
        }
    }

    @Test func throughASampler() async {
        await checkLaw(cases: 3) { generator in
            let configuration = UNetConfiguration.small
            let parameters = configuration.randomParameters(&generator)
            let grid = VoxelGrid(shape: [6, 8, generator.size(in: 1...5)])
            let source = Volume(grid: grid, voxels: generator.floats(grid.count))
            let style = try StyleKey(of: Volume(grid: grid, voxels: generator.floats(grid.count)), bins: 8)
            var expected: Volume?
            for threads in [1, 2, 3, 5] {
                let network = try network(of: parameters, options: ComputeOptions(threads: threads))
                let sampler = SliceSampler(
                    scheduler: Scheduler(BrownianBridge(), steps: 3), denoiser: UNetDenoiser(network),
                    corrector: ScoreCorrector(steps: 1, stepSize: 0.1),
                    batchSize: generator.size(in: 1...4), batchesInFlight: generator.size(in: 1...4))
                let found = try await sampler.sample(from: source, conditioning: style)
                try #require(found.voxels == expected?.voxels ?? found.voxels)
                expected = found
            }
        }
    }
}

/// Outputs that several threads give, each in its place.
private final class Outputs: @unchecked Sendable {
    private let lock = NSLock()
    private var outputs: [Tensor?]

    init(count: Int) { outputs = [Tensor?](repeating: nil, count: count) }

    subscript(place: Int) -> Tensor? {
        get { lock.withLock { outputs[place] } }
        set { lock.withLock { outputs[place] = newValue } }
    }
}
