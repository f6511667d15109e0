import TensorFiles

/// The denoiser of latents: the U-Net of slices with three axes, its embedding added, and the target modality as a class
/// embedding or a token.
///
/// Kim and Park, WACV 2024, section 3.3 and Table C; Rombach et al.: *High-Resolution Image Synthesis with Latent
/// Diffusion Models*, arXiv 2112.10752.
package struct LatentUNet3D: Network {
    let body: UNetBody
    /// The embedding of the target, nil where it is a token.
    let label: Linear?
    private let configuration: LatentUNetConfiguration

    /// The layers of a configuration.
    ///
    /// - Precondition: the configuration is valid.
    package init(_ configuration: LatentUNetConfiguration) {
        self.configuration = configuration
        body = UNetBody(
            configuration.body, space: UNetSpace(axes: 3, groups: configuration.groups))
        // The table of embeddings, [classes, width], is read as a linear map of one-hot vectors (see `StoredLayout`).
        label =
            configuration.conditioning == .embedding
            ? Linear(
                "label_emb", inputs: configuration.classes, outputs: 4 * configuration.modelChannels,
                hasBias: false) : nil
    }

    /// Every parameter of the network, under its published name without prefix.
    package var parameters: [Parameter] { body.parameters + (label?.parameters ?? []) }

    /// The noisy latent, `[batch, z] + size`, and what is beside it, the source's and the translated latent along channels;
    /// the timesteps' sinusoids, and the targets' one-hot vectors, `[batch, classes]`, or as tokens
    /// `[batch, 1, classes]`; to `[batch, z] + size`.
    package func graph(batch: Int, size: [Int]) -> Graph {
        let builder = GraphBuilder()
        let z = configuration.outputChannels
        let noisy = builder.image([batch, z] + size)
        let beside = builder.image([batch, configuration.inputChannels - z] + size)
        var time = body.embedding(builder.shared([batch, body.embedding.width]))
        let classes = configuration.classes
        let target = builder.shared(label == nil ? [batch, 1, classes] : [batch, classes])
        if let label { time = time + label(target) }
        return builder.graph(
            endingIn: body(
                .concatenated([noisy, beside], axis: 1), time: time, key: label == nil ? target : nil))
    }

    /// The graph's shared inputs: sinusoids of each item's timestep, and its target as a one-hot vector.
    package func sharedInputs(timesteps: [Float], targets: [Int]) -> [Tensor] {
        let (batch, classes) = (targets.count, configuration.classes)
        var oneHot = Tensor(shape: label == nil ? [batch, 1, classes] : [batch, classes])
        for (item, target) in targets.enumerated() { oneHot.values[item * classes + target] = 1 }
        return [body.embedding.sinusoids(of: timesteps), oneHot]
    }
}
