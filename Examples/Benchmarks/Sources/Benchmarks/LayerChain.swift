import Networks

/// A layer applied several times, one after the other, each time to what it gave before.
///
/// Two such networks that differ in how often tell how long the layer takes by itself, where its input is as other
/// layers leave it: without what it costs to bring an image in and out.
struct LayerChain: CompilableNetwork {
    private let layer: LayerCase
    private let count: Int
    private let applied: CaseLayer

    init(_ layer: LayerCase, count: Int) {
        (self.layer, self.count, applied) = (layer, count, CaseLayer(layer))
    }

    var parameters: [Parameter] { applied.parameters }

    /// What is handed on, and the channels that are put after it where a layer takes more than it gives.
    var imageChannels: [Int] {
        [layer.outputs] + (layer.inputs > layer.outputs ? [layer.inputs - layer.outputs] : [])
    }

    var sharedShapes: [[Int]] {
        switch layer.kind {
        case .convolution, .pointwise, .normalized: []
        case .residual, .resampling: [[1, ResidualLayer.timeWidth]]
        case .transformer: [[1, TransformerLayer.keyTokens, TransformerLayer.keyWidth]]
        }
    }

    func callAsFunction<A: LayerArithmetic>(
        images: [A.Value], shared: [A.Value], with arithmetic: A
    ) -> A.Value {
        var x = images[0]
        for _ in 0..<count {
            let whole = images.count == 1 ? x : arithmetic.concatenated([x, images[1]], axis: 1)
            x = applied(whole, shared: shared.first, with: arithmetic)
        }
        return x
    }
}
