import Networks

/// The published parts of the 3-D latent translator, as far as their work goes.
enum LatentNetwork: String, CaseIterable, Network {
    case encoder, translator, decoder, denoiser

    var parameters: [Parameter] { [] }

    /// A part, for a volume of four times the size of its latent.
    func graph(batch: Int, size: [Int]) -> Graph {
        let builder = GraphBuilder()
        let layers = LatentLayers()
        switch self {
        case .encoder: return builder.graph(endingIn: layers.encoder(builder.image([batch, 1] + size)))
        case .translator: return builder.graph(endingIn: layers.translator(builder.image([batch, 4] + size)))
        case .decoder: return builder.graph(endingIn: layers.decoder(builder.image([batch, 4] + size)))
        case .denoiser:
            let time = builder.shared([batch, 128])
            return builder.graph(endingIn: layers.denoiser(builder.image([batch, 12] + size), time: time))
        }
    }

    /// The size of the part's image for that of a volume.
    func size(ofVolume shape: [Int]) -> [Int] { self == .encoder ? shape : shape.map { $0 / 4 } }
}

/// Records the layers of the latent translator, with names in order.
private final class LatentLayers {
    private var count = 0

    private func name() -> String {
        count += 1
        return "layer\(count)"
    }

    private func convolved(_ x: GraphValue, to outputs: Int, kernel: Int = 3, hasBias: Bool = true)
        -> GraphValue
    {
        Convolution(
            name(), inputs: x.shape[1], outputs: outputs, kernel: x.shape[2...].map { _ in kernel },
            hasBias: hasBias)(x)
    }

    /// Half the resolution; with zeros before the first voxel too, or only after the last.
    private func halved(_ x: GraphValue, zerosBefore: Int) -> GraphValue {
        let padding = Convolution.Padding(before: zerosBefore, after: 1)
        return Convolution(
            name(), inputs: x.shape[1], outputs: x.shape[1], kernel: [3, 3, 3], stride: [2, 2, 2],
            padding: [padding, padding, padding])(x)
    }

    private func normed(_ x: GraphValue, epsilon: Float = 1e-5) -> GraphValue {
        GroupNorm(name(), channels: x.shape[1], epsilon: epsilon)(x)
    }

    private func block(_ x: GraphValue, to outputs: Int, time: GraphValue? = nil) -> GraphValue {
        var h = convolved(normed(x).silu(), to: outputs)
        if let time { h = h.shifted(by: Linear(name(), inputs: 512, outputs: outputs)(time.silu())) }
        h = convolved(normed(h).silu(), to: outputs)
        return h + (x.shape[1] == outputs ? x : convolved(x, to: outputs, kernel: 1))
    }

    // MARK: Autoencoder

    func encoder(_ x: GraphValue) -> GraphValue {
        var h = convolved(x, to: 64)
        for outputs in [64, 64] { h = halved(block(h, to: outputs), zerosBefore: 0) }
        h = block(block(h, to: 128), to: 128)
        h = convolved(convolved(normed(h).silu(), to: 4), to: 4, kernel: 1)
        return Codebook(name(), entries: 8192, width: 4)(h)
    }

    func decoder(_ z: GraphValue) -> GraphValue {
        var h = convolved(convolved(z, to: 4, kernel: 1), to: 128)
        for outputs in [128, 128, 128] { h = block(h, to: outputs) }
        for _ in 0..<2 {
            h = convolved(h.upsampled(), to: h.shape[1])
            h = block(block(h, to: 64), to: 64)
        }
        return convolved(normed(h).silu(), to: 1)
    }

    // MARK: Translator

    func translator(_ z: GraphValue) -> GraphValue {
        [128, 256, 128, 4].reduce(z) { x, outputs in
            let middle = min(x.shape[1], outputs)
            let h = convolved(spade(x).leakyReLU(slope: 0.2), to: middle)
            let side = x.shape[1] == outputs ? x : convolved(x, to: outputs, kernel: 1, hasBias: false)
            return convolved(spade(h).leakyReLU(slope: 0.2), to: outputs) + side
        }
    }

    private func spade(_ x: GraphValue) -> GraphValue {
        let map = convolved(x, to: 64).relu()
        return GroupNorm.instance(channels: x.shape[1])(x).modulated(
            scale: convolved(map, to: x.shape[1]), shift: convolved(map, to: x.shape[1]))
    }

    // MARK: Denoiser

    func denoiser(_ x: GraphValue, time: GraphValue) -> GraphValue {
        let embedding = Linear(name(), inputs: 512, outputs: 512)(
            Linear(name(), inputs: 128, outputs: 512)(time).silu())
        var h = convolved(x, to: 128)
        var skips = [h]
        for (level, outputs) in [128, 128, 256].enumerated() {
            h = block(h, to: outputs, time: embedding)
            if level > 0 { h = attended(h) }
            skips.append(h)
            if level < 2 {
                h = halved(h, zerosBefore: 1)
                skips.append(h)
            }
        }
        h = block(attended(block(h, to: 256, time: embedding)), to: 256, time: embedding)
        for (level, outputs) in [256, 128, 128].enumerated() {
            for _ in 0..<2 {
                h = block(.concatenated([h, skips.removeLast()], axis: 1), to: outputs, time: embedding)
                if level < 2 { h = attended(h) }
            }
            if level < 2 { h = convolved(h.upsampled(), to: outputs) }
        }
        return convolved(normed(h).silu(), to: 4)
    }

    private func attended(_ x: GraphValue) -> GraphValue { VoxelAttention(name(), width: x.shape[1])(x) }
}
