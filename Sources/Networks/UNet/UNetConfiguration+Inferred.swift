extension UNetConfiguration {
    /// The configuration that the names and shapes of a network's parameters show.
    ///
    /// They show all of it but the heads of attention, `headChannels`, and, of a network of one level, how
    /// levels would be joined. Whether the parameters are those of the configuration, all of them and no
    /// others, remains to be checked, and so does its validity.
    ///
    /// - Parameters:
    ///   - shape: the shape of a parameter by its name without prefix, or nil where there is none.
    ///   - headChannels: what the configuration is to have for it.
    /// - Throws: `UninferableSize` naming a parameter without which the sizes do not show.
    package init(inferredFrom shape: (String) -> [Int]?, headChannels: Int) throws(UninferableSize) {
        func extent(_ axis: Int, of name: String) throws(UninferableSize) -> Int {
            guard let shape = shape(name), axis < shape.count, shape[axis] > 0 else {
                throw UninferableSize(parameter: name)
            }
            return shape[axis]
        }
        func has(_ name: String) -> Bool { shape(name) != nil }

        self.init()
        self.headChannels = headChannels
        modelChannels = try extent(1, of: "time_embed.0.weight")
        inputChannels = try extent(1, of: "input_blocks.0.0.weight")
        outputChannels = try extent(0, of: "out.2.weight")

        // The decoder has a block more on each level than the encoder, and each level but the last ends with a layer
        // that doubles the resolution.
        var blocks = 0
        var (residual, convolved) = (0, 0)
        while has("output_blocks.\(blocks).0.in_layers.0.weight"), blocks < Self.mostOutputBlocks {
            for place in 1...2 {
                residual += has("output_blocks.\(blocks).\(place).in_layers.0.weight") ? 1 : 0
                convolved += has("output_blocks.\(blocks).\(place).conv.weight") ? 1 : 0
            }
            blocks += 1
        }
        let levels = residual + convolved + 1
        guard blocks >= 2 * levels, blocks % levels == 0 else {
            throw UninferableSize(parameter: "output_blocks.\(blocks).0.in_layers.0.weight")
        }
        residualBlocks = blocks / levels - 1
        usesResidualResampling = convolved == 0

        (channelMultipliers, attentionResolutions) = ([], [])
        for level in 0..<levels {
            let first = "output_blocks.\((levels - 1 - level) * (residualBlocks + 1))"
            channelMultipliers.append(
                try extent(0, of: "\(first).0.out_layers.3.weight") / modelChannels)
            if has("\(first).1.norm.weight") { attentionResolutions.append(1 << level) }
        }

        let width = try extent(0, of: "middle_block.0.out_layers.3.weight")
        usesScaleShiftNorm = try extent(0, of: "middle_block.0.emb_layers.1.weight") != width
        let keys = "middle_block.1.transformer_blocks.0.attn2.to_k.weight"
        usesSpatialTransformer = has(keys)
        contextWidth = usesSpatialTransformer ? try extent(1, of: keys) : nil
    }

    /// Those of the largest configuration that is valid.
    private static let mostOutputBlocks = 8 * 17
}

/// A size of a network that cannot be determined because a parameter is missing.
package struct UninferableSize: Error {
    package let parameter: String
}
