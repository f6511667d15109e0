extension AutoencoderConfiguration {
    /// The configuration that the names and shapes of an autoencoder's parameters show.
    ///
    /// They show all of it but `groups`, `usesOnePlusGamma` and what only training uses. Whether the parameters are those
    /// of the configuration, all of them and no others, remains to be checked, and so does its validity.
    ///
    /// - Parameters:
    ///   - shape: the shape of a parameter in the file, or nil if there is none.
    ///   - resolution: by which levels with attention are named.
    /// - Throws: `UninferableSize` naming a parameter without which the sizes do not show.
    package init(inferredFrom shape: (String) -> [Int]?, resolution: Int) throws(UninferableSize) {
        func extent(_ axis: Int, of name: String) throws(UninferableSize) -> Int {
            guard let shape = shape(name), axis < shape.count, shape[axis] > 0 else {
                throw UninferableSize(parameter: name)
            }
            return shape[axis]
        }
        func count(from first: Int = 0, upTo most: Int, _ name: (Int) -> String) -> Int {
            (first..<most).first { shape(name($0)) == nil } ?? most
        }
        self.init()
        self.resolution = resolution
        inputChannels = try extent(1, of: "encoder.conv_in.weight")
        channels = try extent(0, of: "encoder.conv_in.weight")
        latentChannels = try extent(0, of: "encoder.conv_out.weight")
        outputChannels = try extent(0, of: "decoder.conv_out.weight")
        (codes, codeWidth) = (
            try extent(0, of: "quantize.embedding.weight"), try extent(1, of: "quantize.embedding.weight")
        )
        let levels = count(upTo: 9) { "encoder.down.\($0).block.0.conv1.weight" }
        residualBlocks = count(upTo: 17) { "encoder.down.0.block.\($0).conv1.weight" }
        (channelMultipliers, attentionResolutions) = ([], [])
        for level in 0..<max(1, levels) {
            channelMultipliers.append(
                try extent(0, of: "encoder.down.\(level).block.0.conv1.weight") / channels)
            if shape("encoder.down.\(level).attn.0.norm.weight") != nil {
                attentionResolutions.append(resolution >> level)
            }
        }
        middleBlocks = shape("encoder.mid.block_2.conv1.weight") == nil ? 1 : 2
        hasMiddleAttention = shape("encoder.mid.attn_1.norm.weight") != nil

        // Table B begins with a convolution of its own, and its first two blocks have no MS-SPADE.
        translator = shape("spade.conv_in.weight") == nil ? .residual : .table
        translatorWidth = try extent(
            0, of: translator == .table ? "spade.conv_in.weight" : "spade.block.0.conv_1.weight")
        let norm = "spade.block.\(translator == .table ? 2 : 0).norm_0.spades"
        translatorHidden = try extent(0, of: "\(norm).0.mlp_shared.0.weight")
        classes = count(upTo: 1025) { "\(norm).\($0).mlp_shared.0.weight" }
        usesOnePlusGamma = translator == .residual
    }
}

extension LatentUNetConfiguration {
    /// The configuration that the names and shapes of a denoiser's parameters show: all of it but `headChannels` and
    /// `groups`.
    ///
    /// - Parameter shape: the shape of a parameter in the file, or nil if there is none.
    /// - Throws: `UninferableSize` naming a parameter without which the sizes do not show.
    package init(inferredFrom shape: (String) -> [Int]?) throws(UninferableSize) {
        self.init()
        let body = try UNetConfiguration(inferredFrom: shape, headChannels: headChannels)
        (inputChannels, outputChannels) = (body.inputChannels, body.outputChannels)
        (modelChannels, residualBlocks) = (body.modelChannels, body.residualBlocks)
        (channelMultipliers, attentionResolutions) = (body.channelMultipliers, body.attentionResolutions)
        conditioning = body.usesSpatialTransformer ? .crossAttention : .embedding
        guard let classes = body.contextWidth ?? shape("label_emb.weight")?.first else {
            throw UninferableSize(parameter: "label_emb.weight")
        }
        self.classes = classes
    }
}
