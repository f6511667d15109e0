import ArgumentParser
import Foundation
import Tensors

/// Times each kind of layer by itself.
struct LayersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "layers", abstract: "Times layers of the published network, one by one.")

    @OptionGroup var options: MeasuringOptions

    func run() async throws {
        let bandwidth = await MemoryBandwidth.measured(threads: options.threads, repeats: options.repeats)
        let product = try await measure(.product)
        var layers: [LayerTimes.Layer] = []
        for layer in LayerCase.all { layers.append(try await measure(layer)) }
        try options.print(LayerTimes(layers: layers, product: product, bandwidth: bandwidth)) {
            $0.table(peer: [:])
        }
    }

    private func measure(_ layer: LayerCase) async throws -> LayerTimes.Layer {
        // Three in a chain and one: the difference is two that read and write as inside a network.
        let (longer, shorter) = (try compiled(layer, count: 3), try compiled(layer, count: 1))
        try longer.run()
        try shorter.run()
        var (long, short) = (Double.infinity, Double.infinity)
        for _ in 0..<options.repeats {
            long = min(long, try await seconds { try longer.run() })
            short = min(short, try await seconds { try shorter.run() })
        }
        return LayerTimes.Layer(
            layer: layer, seconds: (long - short) / 2, work: (longer.work - shorter.work) / 2)
    }

    private func compiled(_ layer: LayerCase, count: Int) throws -> CompiledChain {
        try CompiledChain(
            LayerChain(layer, count: count), size: layer.size,
            options: ComputeOptions(threads: options.threads, winogradMemory: layer.usesWinograd ? nil : 0),
            usesWinograd: layer.usesWinograd)
    }
}

/// A chain with weights and inputs.
private struct CompiledChain {
    let work: Work
    private let network: CompiledNetwork
    private let images, shared: [Tensor]

    init(_ chain: LayerChain, size: Int, options: ComputeOptions, usesWinograd: Bool) throws {
        network = try CompiledNetwork(chain, planned: (size, size), options: options) { Tensor(random: $0) }
        images = chain.imageChannels.map { Tensor(shape: [1, $0, size, size], randomFrom: "image") }
        shared = chain.sharedShapes.map { Tensor(shape: $0, randomFrom: "shared") }
        work = OperationCount.work(of: chain, size: size, usesWinograd: usesWinograd)
    }

    func run() throws { _ = try network(images: images, shared: shared) }
}

/// How fast memory is read.
enum MemoryBandwidth {
    /// The bytes a second that so many threads together read of an array larger than any cache.
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
    /// Several sums at a time, so that memory is waited for and not additions.
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
