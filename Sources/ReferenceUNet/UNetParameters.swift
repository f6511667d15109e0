import Networks
import TensorFiles

/// The parameters of a network among the tensors of a source, by their names without prefix.
struct UNetParameters {
    /// The prefix of each parameter's name in published checkpoints.
    private static let prefix = "denoise_fn."

    private let source: any TensorSource
    /// The prefix of the names in the source: the published one where any name has it.
    private let prefix: String
    /// The names in the source, without those that are skipped.
    private let names: [String]

    /// All tensors of a source are parameters, except arrays of one axis whose names have no dot.
    ///
    /// Published checkpoints keep the schedule that way, beside the network (`m_t`, `variance_t`, `betas`, ...).
    /// Every parameter's name has a dot, after the layer it belongs to.
    init(_ source: any TensorSource) {
        self.source = source
        let names = source.names
        prefix = names.contains { $0.hasPrefix(Self.prefix) } ? Self.prefix : ""
        self.names = names.filter { $0.contains(".") || source.shape(of: $0)?.count != 1 }
    }

    /// The name that a parameter has in the source.
    func storedName(_ name: String) -> String { prefix + name }

    /// The shape of a parameter, or nil if there is none of that name.
    func shape(of name: String) -> [Int]? { source.shape(of: storedName(name)) }

    /// What differs from the parameters of an architecture, or nil where nothing does.
    func difference(from architecture: UNetArchitecture, file: String) -> UNetError? {
        let expected = Dictionary(
            uniqueKeysWithValues: architecture.parameters.map { (storedName($0.name), $0) })
        let missing = expected.keys.filter { source.shape(of: $0) == nil }
        let extra = names.filter { expected[$0] == nil }
        let misshapen = expected.compactMap { stored, parameter -> UNetError.Misshapen? in
            guard let found = source.shape(of: stored), found != parameter.shape else { return nil }
            return .init(name: stored, found: found, expected: parameter.shape)
        }
        guard !missing.isEmpty || !extra.isEmpty || !misshapen.isEmpty else { return nil }
        return .parameters(
            file: file, missing: missing.sorted(), extra: extra,
            misshapen: misshapen.sorted { $0.name < $1.name })
    }
}

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
    /// - Throws: `UnshownSize` naming a parameter without which the sizes do not show.
    init(shownBy shape: (String) -> [Int]?, headChannels: Int) throws(UnshownSize) {
        func extent(_ axis: Int, of name: String) throws(UnshownSize) -> Int {
            guard let shape = shape(name), axis < shape.count, shape[axis] > 0 else {
                throw UnshownSize(parameter: name)
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
            throw UnshownSize(parameter: "output_blocks.\(blocks).0.in_layers.0.weight")
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
struct UnshownSize: Error {
    let parameter: String
}
