import Networks
import TensorFiles
import VoxelSupport

/// The weights of a network's layers, packed for the kernels.
struct LayerWeights: Sendable {
    private let convolutions: [Parameter: PackedConvolution]
    private let vectors: [Parameter: FloatBuffer]
    /// The parameters of operations that depend on shared inputs alone, as they are, by name.
    let shared: [String: Tensor]

    /// Reads and packs the weights of a graph's layers, several at a time.
    ///
    /// - Parameters:
    ///   - graph: the graph, of any size of image.
    ///   - options: the threads that pack, and the memory for Winograd's form.
    ///   - read: reads a parameter; may be called by several threads at once.
    init(_ graph: Graph, options: ComputeOptions, read: @Sendable (Parameter) throws -> Tensor) throws {
        @Sendable func tensor(_ parameter: Parameter) throws -> Tensor {
            let tensor = try read(parameter)
            precondition(tensor.shape == parameter.shape, "\(parameter) was read as \(tensor.shape)")
            return tensor
        }
        let dependences = graph.dependences
        let nodes = graph.nodes.indices.map { (graph.nodes[$0], dependences[$0].contains(.images)) }
        // A layer that is used twice is packed once.
        var known = Set<Parameter>()
        let layers = nodes.compactMap { $1 ? PackedLayer($0) : nil }.filter { known.insert($0.weight).inserted }
        let forms = Self.forms(of: layers, winogradMemory: options.winogradMemory)
        let jobs = layers.enumerated().map { ($0.element, forms[$0.offset]) }
            .sorted { $0.0.weight.count > $1.0.weight.count }
        let results = try concurrentMap(jobs.count, threads: options.threads) { index in
            let (layer, form) = jobs[index]
            return PackedConvolution(
                try tensor(layer.weight), bias: try layer.bias.map(tensor), geometry: layer.geometry, form: form
            )
        }
        convolutions = Dictionary(uniqueKeysWithValues: zip(jobs.map(\.0.weight), results))

        var vectors: [Parameter: FloatBuffer] = [:]
        var shared: [String: Tensor] = [:]
        for (node, dependsOnImages) in nodes where !dependsOnImages || PackedLayer(node) == nil {
            for parameter in node.operation.parameters {
                if dependsOnImages {
                    vectors[parameter] = FloatBuffer(try tensor(parameter).values)
                } else {
                    shared[parameter.name] = try tensor(parameter)
                }
            }
        }
        (self.vectors, self.shared) = (vectors, shared)
    }

    /// The packed weights of a convolution or a linear map; nil where they were not read for this stride.
    func convolution(_ weight: Parameter, stride: Int = 1) -> PackedConvolution? {
        convolutions[weight].flatMap { $0.geometry.stride == stride ? $0 : nil }
    }

    /// The numbers of a parameter, such as one for each channel, and zeros up to the end of the last block; nil where it
    /// was not read.
    func numbers(_ parameter: Parameter) -> FloatBuffer? { vectors[parameter] }

    /// How each layer is computed.
    ///
    /// The rule decides a result's last bits: a kernel of 3 x 3 or 3 x 3 x 3 of stride 1 takes Winograd's form while the
    /// budget lasts; the layers with the most pixels come first, as they save the most multiplications for each byte,
    /// and then those that come first in the network. Everything else is direct.
    private static func forms(of layers: [PackedLayer], winogradMemory: Int?) -> [PackedConvolution.Form] {
        var forms = [PackedConvolution.Form](repeating: .direct, count: layers.count)
        var left = winogradMemory ?? .max
        let candidates = layers.indices.filter { layers[$0].geometry.isWinograd }
        for index in candidates.sorted(by: { (-layers[$0].pixels, $0) < (-layers[$1].pixels, $1) }) {
            let shape = layers[index].weight.shape
            let bytes = PackedConvolution.byteCount(
                outputs: shape[0], inputs: shape[1], geometry: layers[index].geometry, form: .winograd)
            guard bytes <= left else { continue }
            forms[index] = .winograd
            left -= bytes
        }
        return forms
    }
}

/// A convolution or a linear map of images.
private struct PackedLayer {
    let weight: Parameter
    let bias: Parameter?
    let geometry: KernelGeometry
    /// Pixels of the result.
    let pixels: Int

    init?(_ node: Graph.Node) {
        switch node.operation {
        case .linear(let layer): (weight, bias, geometry) = (layer.weight, layer.bias, .point)
        case .convolution(let layer):
            guard let geometry = KernelGeometry(layer) else { return nil }
            (weight, bias, self.geometry) = (layer.weight, layer.bias, geometry)
        default: return nil
        }
        pixels = node.shape.reduce(1, *) / weight.shape[0]
    }
}

extension Parameter {
    fileprivate var count: Int { shape.reduce(1, *) }
}
