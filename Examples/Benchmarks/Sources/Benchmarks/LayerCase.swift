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
        /// A 3 x 3 x 3 convolution that halves the resolution, and one after doubling it.
        case halving
        /// Group normalisation, SiLU and a 3 x 3 x 3 convolution to one channel, and one back.
        case narrowing
        /// Self-attention of voxels, with heads of 32 channels.
        case attention
    }

    let kind: Kind
    let inputs, outputs: Int
    /// The spatial extents of the images.
    let size: [Int]
    var usesWinograd = true

    private init(kind: Kind, inputs: Int, outputs: Int, size: Int, usesWinograd: Bool = true) {
        (self.kind, self.inputs, self.outputs, self.usesWinograd) = (kind, inputs, outputs, usesWinograd)
        self.size = [size, size]
    }

    private init(volume kind: Kind, _ inputs: Int, _ outputs: Int, _ size: [Int]) {
        (self.kind, self.inputs, self.outputs, self.size) = (kind, inputs, outputs, size)
    }

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

    /// The measured layers of volumes of 96 x 96 x 72 voxels.
    static let volumes = [
        LayerCase(volume: .convolution, 64, 64, [96, 96, 72]),
        LayerCase(volume: .normalized, 64, 64, [96, 96, 72]),
        LayerCase(volume: .halving, 64, 64, [96, 96, 72]),
        LayerCase(volume: .narrowing, 64, 64, [96, 96, 72]),
        LayerCase(volume: .normalized, 64, 64, [48, 48, 36]),
        LayerCase(volume: .normalized, 128, 128, [36, 48, 36]),
        LayerCase(volume: .normalized, 256, 128, [36, 48, 36]),
        LayerCase(volume: .pointwise, 256, 128, [36, 48, 36]),
        LayerCase(volume: .normalized, 128, 128, [18, 24, 18]),
        LayerCase(volume: .normalized, 384, 256, [18, 24, 18]),
        LayerCase(volume: .normalized, 512, 256, [9, 12, 9]),
        LayerCase(volume: .attention, 128, 128, [18, 24, 18]),
        LayerCase(volume: .attention, 256, 256, [9, 12, 9]),
    ]

    /// The layer with which speeds are compared: hardly more than a matrix product.
    static let product = LayerCase(kind: .pointwise, inputs: 1024, outputs: 1024, size: 80)

    /// The layer's name in the peer's script.
    var specification: String {
        "\(kind.rawValue):\(inputs):\(outputs):\(size.map(String.init).joined(separator: "x"))"
    }

    /// The layer's name in tables.
    var title: String {
        let name =
            switch kind {
            case .convolution: usesWinograd ? kernel(3) : kernel(3) + ", no Winograd"
            case .pointwise: kernel(1)
            case .normalized: "norm, SiLU, " + kernel(3)
            case .residual: "residual block"
            case .resampling: "residual blocks down and up"
            case .transformer: "spatial transformer"
            case .halving: kernel(3) + " of stride 2, and of doubled volume"
            case .narrowing: "norm, SiLU, \(kernel(3)) to 1, and back"
            case .attention: "attention"
            }
        let extents = size.map(String.init).joined(separator: " x ")
        return "\(name), \(inputs == outputs ? "" : "\(inputs) to ")\(outputs) at \(extents)"
    }

    private func kernel(_ extent: Int) -> String { size.map { _ in "\(extent)" }.joined(separator: " x ") }
}
