import Dispatch
import Networks
import Synchronization
import TensorFiles

/// The weights of a network's layers, packed for the kernels.
struct LayerWeights: Sendable {
    private let convolutions: [String: PackedConvolution]
    private let vectors: [String: FloatBuffer]
    /// The parameters of operations that depend on shared inputs alone, as they are.
    let shared: [String: Tensor]

    /// Reads and packs the weights of a recorded network, several layers at a time.
    ///
    /// - Parameters:
    ///   - nodes: the record, of any size of image.
    ///   - options: how many threads pack, and the memory for Winograd's form.
    ///   - read: reads a parameter; may be called by several threads at once.
    init(
        _ nodes: [NetworkRecorder.Node], options: ComputeOptions,
        read: @Sendable (Parameter) throws -> Tensor
    ) throws {
        @Sendable func tensor(_ parameter: Parameter) throws -> Tensor {
            let tensor = try read(parameter)
            precondition(tensor.shape == parameter.shape, "\(parameter) was read as \(tensor.shape)")
            return tensor
        }
        // A layer that is used twice is packed once.
        var names = Set<String>()
        let layers = nodes.compactMap { PackedLayer($0) }.filter { names.insert($0.weight.name).inserted }
        let forms = Self.forms(of: layers, winogradMemory: options.winogradMemory)
        let jobs = layers.enumerated().map { ($0.element, forms[$0.offset]) }
            .sorted { $0.0.weight.count > $1.0.weight.count }
        let results = try concurrentMap(jobs, threads: options.threads) { layer, form in
            PackedConvolution(
                try tensor(layer.weight), bias: try layer.bias.map(tensor), stride: layer.stride, form: form)
        }
        convolutions = Dictionary(uniqueKeysWithValues: zip(jobs.map(\.0.weight.name), results))

        var vectors: [String: FloatBuffer] = [:]
        var shared: [String: Tensor] = [:]
        for node in nodes {
            let parameters = node.operation.parameters
            if !node.dependence.contains(.window) {
                for parameter in parameters { shared[parameter.name] = try tensor(parameter) }
            } else if PackedLayer(node) == nil {
                for parameter in parameters {
                    vectors[parameter.name] = FloatBuffer(try tensor(parameter).values)
                }
            }
        }
        (self.vectors, self.shared) = (vectors, shared)
    }

    /// The packed weights of a convolution or a linear map, by its weight.
    func convolution(_ weight: Parameter) -> PackedConvolution {
        guard let packed = convolutions[weight.name] else {
            preconditionFailure("\(weight.name) was not packed")
        }
        return packed
    }

    /// A parameter with a number for each channel, and zeros up to the end of the last block.
    func numbers(_ parameter: Parameter) -> FloatBuffer {
        guard let numbers = vectors[parameter.name] else {
            preconditionFailure("\(parameter.name) was not read")
        }
        return numbers
    }

    /// How each layer is computed.
    ///
    /// The rule, for it decides a result's last bits: a 3 x 3 kernel of stride 1 takes Winograd's form, as long as
    /// the budget lasts; the layers with the most pixels come first, for they save the most multiplications for
    /// each byte, and then those that come first in the network. Everything else is direct.
    private static func forms(of layers: [PackedLayer], winogradMemory: Int?) -> [PackedConvolution.Form] {
        var forms = [PackedConvolution.Form](repeating: .direct, count: layers.count)
        var left = winogradMemory ?? .max
        let candidates = layers.indices.filter {
            layers[$0].weight.shape.dropFirst(2) == [3, 3] && layers[$0].stride == 1
        }
        for index in candidates.sorted(by: { (-layers[$0].pixels, $0) < (-layers[$1].pixels, $1) }) {
            let shape = layers[index].weight.shape
            let bytes = PackedConvolution.byteCount(
                outputs: shape[0], inputs: shape[1], places: 9, form: .winograd)
            guard bytes <= left else { continue }
            forms[index] = .winograd
            left -= bytes
        }
        return forms
    }
}

/// A convolution or a linear map of the window's images.
private struct PackedLayer {
    let weight: Parameter
    let bias: Parameter?
    let stride: Int
    /// Pixels of the result.
    let pixels: Int

    init?(_ node: NetworkRecorder.Node) {
        guard node.dependence.contains(.window) else { return nil }
        switch node.operation {
        case .linear(let layer): (weight, bias, stride) = (layer.weight, layer.bias, 1)
        case .convolution(let layer): (weight, bias, stride) = (layer.weight, layer.bias, layer.stride)
        default: return nil
        }
        pixels = node.shape.reduce(1, *) / weight.shape[0]
    }
}

extension Parameter {
    fileprivate var count: Int { shape.reduce(1, *) }
}

extension NetworkRecorder.Operation {
    fileprivate var parameters: [Parameter] {
        switch self {
        case .linear(let layer): layer.parameters
        case .convolution(let layer): layer.parameters
        case .groupNorm(let layer): layer.parameters
        case .layerNorm(let layer): layer.parameters
        default: []
        }
    }
}

/// The results of some jobs, done by several threads; the first error in the order of the jobs, if any throws.
private func concurrentMap<Job: Sendable, Output: Sendable>(
    _ jobs: [Job], threads: Int, _ work: @Sendable (Job) throws -> Output
) throws -> [Output] {
    let results = Mutex<[Int: Result<Output, any Error>]>([:])
    let next = Atomic<Int>(0)
    DispatchQueue.concurrentPerform(iterations: max(1, min(threads, jobs.count))) { _ in
        while true {
            let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
            guard index < jobs.count else { return }
            let result = Result { try work(jobs[index]) }
            results.withLock { $0[index] = result }
        }
    }
    let all = results.withLock { $0 }
    return try jobs.indices.compactMap { try all[$0]?.get() }
}
