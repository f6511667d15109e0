/// One layer of a U-Net, of whichever kind.
enum UNetLayer: Layer {
    case convolution(Convolution)
    case residual(ResidualBlock)
    case resampling(Resampling)
    case selfAttention(SelfAttention)
    case transformer(SpatialTransformer)

    var parameters: [Parameter] {
        switch self {
        case .convolution(let layer): layer.parameters
        case .residual(let layer): layer.parameters
        case .resampling(let layer): layer.parameters
        case .selfAttention(let layer): layer.parameters
        case .transformer(let layer): layer.parameters
        }
    }

    /// `[batch, inputs, rows, columns]` to the layer's own output, with the time as `[batch, embedding width]`
    /// and the style key as `[batch, key tokens, context width]` where the network has a transformer.
    func callAsFunction<A: LayerArithmetic>(
        _ x: A.Value, time: A.Value, key: A.Value?, with arithmetic: A
    ) -> A.Value {
        switch self {
        case .convolution(let layer): return layer(x, with: arithmetic)
        case .residual(let layer): return layer(x, time: time, with: arithmetic)
        case .resampling(let layer): return layer(x, with: arithmetic)
        case .selfAttention(let layer): return layer(x, with: arithmetic)
        case .transformer(let layer):
            guard let key else { preconditionFailure("a spatial transformer needs a style key") }
            return layer(x, key: key, with: arithmetic)
        }
    }
}
