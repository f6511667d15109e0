import ArgumentParser
import Foundation
import NetworkEngine
import Networks
import TensorFiles

/// Times layers individually.
struct LayersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "layers", abstract: "Times layers of the published network individually.")

    @Flag(help: "Time layers of volumes.") var volumes = false
    @OptionGroup var options: MeasuringOptions

    func run() async throws {
        var bandwidth = await MemoryBandwidth.measured(threads: options.threads, repeats: options.repeats)
        let product = try LayerTimer(.product, threads: options.threads)
        var (layers, fastest): ([LayerTimes.Layer], LayerTimes.Layer) = ([], try await product.measured(1))
        for layer in volumes ? LayerCase.volumes : LayerCase.all {
            let timer = try LayerTimer(layer, threads: options.threads)
            layers.append(try await timer.measured(options.repeats))
            // Repeated, so that one disturbance does not lower the reference.
            fastest = fastest.merged(with: try await product.measured(1))
        }
        bandwidth = max(
            bandwidth, await MemoryBandwidth.measured(threads: options.threads, repeats: options.repeats))
        try options.print(LayerTimes(layers: layers, product: fastest, bandwidth: bandwidth)) {
            $0.table(peer: [:])
        }
    }
}

/// Times a layer inside a network by the difference between chains of three and of one.
private struct LayerTimer {
    private let layer: LayerCase
    private let longer, shorter: CompiledChain

    init(_ layer: LayerCase, threads: Int) throws {
        let options = ComputeOptions(threads: threads, winogradMemory: layer.usesWinograd ? nil : 0)
        self.layer = layer
        longer = try CompiledChain(layer, count: 3, options: options)
        shorter = try CompiledChain(layer, count: 1, options: options)
    }

    func measured(_ repeats: Int) async throws -> LayerTimes.Layer {
        // Alternating, so that both run under the same conditions.
        var (three, one) = (Double.infinity, Double.infinity)
        for _ in 0..<repeats {
            three = min(three, try await shortest(of: 1) { try longer.run() })
            one = min(one, try await shortest(of: 1) { try shorter.run() })
        }
        return LayerTimes.Layer(
            layer: layer, work: (longer.work - shorter.work) / 2, three: three, one: one)
    }
}

/// A chain with weights and inputs.
private struct CompiledChain {
    let work: Work
    private let network: CompiledNetwork
    private let images, shared: [Tensor]

    init(_ layer: LayerCase, count: Int, options: ComputeOptions) throws {
        let (chain, size) = (LayerChain(layer, count: count), layer.size)
        network = try CompiledNetwork(chain, planned: size, options: options) { Tensor(random: $0) }
        let graph = chain.graph(batch: 1, size: size)
        images = graph.imageShapes.map { Tensor(shape: $0, randomFrom: "image") }
        shared = graph.sharedShapes.map { Tensor(shape: $0, randomFrom: "shared") }
        work = OperationCount.work(of: chain, size: size, usesWinograd: layer.usesWinograd)
    }

    func run() throws { _ = try network(images: images, shared: shared) }
}

/// The read bandwidth of memory.
enum MemoryBandwidth {
    /// The bytes per second that threads read together from an array larger than any cache.
    static func measured(threads: Int, repeats: Int) async -> Double {
        let numbers = [SIMD16<Float>](repeating: .one, count: 1 << 23)
        let part = numbers.count / threads
        let time = await shortest(of: repeats) {
            let sum = await withTaskGroup { group in
                for thread in 0..<threads {
                    group.addTask { numbers[thread * part..<(thread + 1) * part].sum() }
                }
                return await group.reduce(0, +)
            }
            precondition(sum > 0)
        }
        return Double(threads * part * MemoryLayout<SIMD16<Float>>.size) / time
    }
}

extension ArraySlice<SIMD16<Float>> {
    /// Independent sums, so that memory is the bottleneck and not the latency of additions.
    fileprivate func sum() -> Float {
        withUnsafeBufferPointer { numbers in
            var (a, b, c, d) = (SIMD16<Float>(), SIMD16<Float>(), SIMD16<Float>(), SIMD16<Float>())
            for index in stride(from: 0, to: numbers.count - 3, by: 4) {
                a += numbers[index]
                b += numbers[index + 1]
                c += numbers[index + 2]
                d += numbers[index + 3]
            }
            return (a + b + c + d).sum()
        }
    }
}
