/// A layer with a size from the published network.
struct LayerCase: Codable {
    /// Kinds of layers.
    enum Kind: String, Codable {
        /// A 3 x 3 convolution.
        case convolution
        /// A 1 x 1 convolution, as in shortcuts.
        case pointwise
        /// Group normalisation, SiLU, and a 3 x 3 convolution.
        case normalized
        /// A residual block, modulated by the time embedding.
        case residual
        /// A residual block that halves the resolution, and one that doubles it.
        case resampling
        /// A transformer over pixels with cross-attention to the style key.
        case transformer
    }

    let kind: Kind
    let inputs, outputs, size: Int
    var usesWinograd = true

    /// The measured layers, for each kind from the largest images to the most channels.
    static let all = [
        LayerCase(kind: .convolution, inputs: 128, outputs: 128, size: 160),
        LayerCase(kind: .convolution, inputs: 512, outputs: 512, size: 80),
        LayerCase(kind: .convolution, inputs: 1024, outputs: 1024, size: 40),
        LayerCase(kind: .convolution, inputs: 2048, outputs: 1024, size: 40),
        LayerCase(kind: .convolution, inputs: 128, outputs: 128, size: 160, usesWinograd: false),
        LayerCase(kind: .convolution, inputs: 512, outputs: 512, size: 80, usesWinograd: false),
        LayerCase(kind: .convolution, inputs: 1024, outputs: 1024, size: 40, usesWinograd: false),
        LayerCase(kind: .convolution, inputs: 2048, outputs: 1024, size: 40, usesWinograd: false),
        LayerCase(kind: .pointwise, inputs: 640, outputs: 128, size: 160),
        LayerCase(kind: .pointwise, inputs: 1024, outputs: 512, size: 80),
        LayerCase(kind: .pointwise, inputs: 2048, outputs: 1024, size: 40),
        LayerCase(kind: .normalized, inputs: 128, outputs: 128, size: 160),
        LayerCase(kind: .normalized, inputs: 512, outputs: 512, size: 80),
        LayerCase(kind: .residual, inputs: 128, outputs: 128, size: 160),
        LayerCase(kind: .residual, inputs: 1024, outputs: 512, size: 80),
        LayerCase(kind: .resampling, inputs: 512, outputs: 512, size: 80),
        LayerCase(kind: .transformer, inputs: 1024, outputs: 1024, size: 40),
    ]

    /// The layer with which speeds are compared: hardly more than a matrix product.
    static let product = LayerCase(kind: .pointwise, inputs: 1024, outputs: 1024, size: 80)

    /// The layer's name in the peer's script.
    var specification: String { "\(kind.rawValue):\(inputs):\(outputs):\(size)" }

    /// The layer's name in tables.
    var title: String {
        let name =
            switch kind {
            case .convolution: usesWinograd ? "3 x 3" : "3 x 3, no Winograd"
            case .pointwise: "1 x 1"
            case .normalized: "norm, SiLU, 3 x 3"
            case .residual: "residual block"
            case .resampling: "residual blocks down and up"
            case .transformer: "spatial transformer"
            }
        return "\(name), \(inputs == outputs ? "" : "\(inputs) to ")\(outputs) at \(size) x \(size)"
    }
}
