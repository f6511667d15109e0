import Networks

/// A layer applied several times, one after the other, each time to what it gave before.
///
/// Two such networks that differ in the number of layers give the time of the layer alone, on an input as other layers
/// leave it: without the time of loading an image and storing the result.
struct LayerChain: Network {
    private let layer: LayerCase
    private let count: Int
    private let applied: CaseLayer

    init(_ layer: LayerCase, count: Int) {
        (self.layer, self.count, applied) = (layer, count, CaseLayer(layer))
    }

    var parameters: [Parameter] { applied.parameters }

    /// The image of the first layer; the channels that are put after it where a layer takes more than it gives; and
    /// the time embedding or the style key where it takes one.
    func graph(batch: Int, size: [Int]) -> Graph {
        let builder = GraphBuilder()
        var x = builder.image([batch, layer.outputs] + size)
        let others =
            layer.inputs > layer.outputs ? builder.image([batch, layer.inputs - layer.outputs] + size) : nil
        let shared: GraphValue? =
            switch layer.kind {
            case .convolution, .pointwise, .normalized: nil
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
