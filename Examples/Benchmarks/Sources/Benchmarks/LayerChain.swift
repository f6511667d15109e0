import Networks

/// A layer applied several times in sequence.
///
/// The difference between chains of different length is the time of the layer inside a network, without loading an
/// image and storing the result.
struct LayerChain: Network {
    private let layer: LayerCase
    private let count: Int
    private let applied: CaseLayer

    init(_ layer: LayerCase, count: Int) {
        (self.layer, self.count, applied) = (layer, count, CaseLayer(layer))
    }

    var parameters: [Parameter] { applied.parameters }

    /// The inputs are the first layer's image, the channels concatenated to it if the layer has more inputs than outputs,
    /// and the time embedding or the style key if it takes one.
    func graph(batch: Int, size: [Int]) -> Graph {
        let builder = GraphBuilder()
        var x = builder.image([batch, layer.outputs] + size)
        let others =
            layer.inputs > layer.outputs ? builder.image([batch, layer.inputs - layer.outputs] + size) : nil
        let shared: GraphValue? =
            switch layer.kind {
            case .convolution, .pointwise, .normalized, .halving, .narrowing, .attention: nil
            case .residual, .resampling: builder.shared([batch, ResidualLayer.timeWidth])
            case .transformer:
                builder.shared([batch, TransformerLayer.keyTokens, TransformerLayer.keyWidth])
            }
        for _ in 0..<count {
            x = applied(others.map { .concatenated([x, $0], axis: 1) } ?? x, shared: shared)
        }
        return builder.graph(endingIn: x)
    }
}
