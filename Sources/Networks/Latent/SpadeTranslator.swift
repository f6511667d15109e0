/// The latent translator of multi-switchable spatially adaptive normalisation (MS-SPADE): a source's latent
/// `[batch, z, ...]` to one like that of a target modality, of the same shape.
///
/// Kim and Park, WACV 2024, section 3.2, equation 1 and Table B. Only the norms belong to a target; all convolutions are
/// shared.
package struct SpadeTranslator: Network {
    let channels: Int
    /// The target of each item of a batch, or one of all.
    let targets: [Int]
    /// The layers before and after the blocks, of the paper's form alone.
    let ends: (first: Convolution, last: Convolution)?
    let blocks: [SpadeBlock]

    /// The layers of a configuration for one target.
    ///
    /// - Parameters:
    ///   - configuration: a valid configuration.
    ///   - target: from `0..<configuration.classes`.
    package init(_ configuration: AutoencoderConfiguration, target: Int) {
        self.init(configuration, targets: [target])
    }

    /// The layers of a configuration for a batch of several targets.
    ///
    /// - Parameters:
    ///   - configuration: a valid configuration.
    ///   - targets: for each item of a batch one of `0..<configuration.classes`; or one alone, for all items.
    package init(_ configuration: AutoencoderConfiguration, targets: [Int]) {
        self.targets = targets
        let (width, z) = (configuration.translatorWidth, configuration.latentChannels)
        channels = z
        let norms = SpadeNorms(
            targets: targets, hidden: configuration.translatorHidden,
            usesOnePlusGamma: configuration.usesOnePlusGamma)
        let widths: [Int]
        switch configuration.translator {
        case .residual:
            ends = nil
            widths = [z, width, 2 * width, width, z]
        case .table:
            ends = (
                .cubic("spade.conv_in", inputs: z, outputs: width, extent: 7),
                .cubic("spade.conv_out", inputs: width, outputs: z, extent: 7)
            )
            widths = [width] + [Int](repeating: 2 * width, count: 5) + [width]
        }
        blocks = zip(widths, widths.dropFirst()).enumerated().map { index, widths in
            let order: SpadeBlock.Order =
                configuration.translator == .residual
                ? .normFirst : .convolutionFirst(hasSpade: index >= Self.plainBlocks)
            return SpadeBlock(
                "spade.block.\(index)", inputs: widths.0, outputs: widths.1, order: order, norms: norms)
        }
    }

    /// Blocks of the paper's form that have instance norms.
    private static let plainBlocks = 2

    package var parameters: [Parameter] {
        (ends?.first.parameters ?? []) + blocks.flatMap(\.parameters) + (ends?.last.parameters ?? [])
    }

    /// A source's latent, `[batch, z] + size`, to one like the target's.
    package func graph(batch: Int, size: [Int]) -> Graph {
        let builder = GraphBuilder()
        return builder.graph(endingIn: self(builder.image([batch, channels] + size)))
    }

    /// `[batch, z, ...]` to the same shape.
    package func callAsFunction(_ z: GraphValue) -> GraphValue {
        var h = z
        if let ends {
            h = ends.first(h)
            h = GroupNorm.instance(channels: h.shape[1])(h).relu()
        }
        for block in blocks { h = h.segment { block($0) } }
        return ends?.last(h) ?? h
    }
}

/// What all norms have in common.
struct SpadeNorms {
    let targets: [Int]
    let hidden: Int
    let usesOnePlusGamma: Bool
}

/// A residual block with MS-SPADE: `[batch, inputs, ...]` to `[batch, outputs, ...]`.
struct SpadeBlock: Layer {
    /// What comes first.
    enum Order {
        /// Norm, leaky ReLU, convolution, twice: the public code's.
        case normFirst
        /// Convolution, ReLU, norm, twice: Table B's, where some blocks have instance norms.
        case convolutionFirst(hasSpade: Bool)
    }

    let order: Order
    let first, second: Convolution
    let firstNorm, secondNorm: SpadeNorm?
    let shortcut: Convolution?

    /// Parameters `path.conv_0`, `path.conv_1`, `path.norm_0`, `path.norm_1`, and `path.conv_s` where inputs and outputs
    /// differ.
    init(_ path: String, inputs: Int, outputs: Int, order: Order, norms: SpadeNorms) {
        self.order = order
        let (middle, hasSpade): (Int, Bool)
        switch order {
        case .normFirst: (middle, hasSpade) = (min(inputs, outputs), true)
        case .convolutionFirst(let has): (middle, hasSpade) = (outputs, has)
        }
        first = .cubic("\(path).conv_0", inputs: inputs, outputs: middle)
        second = .cubic("\(path).conv_1", inputs: middle, outputs: outputs)
        shortcut =
            inputs == outputs
            ? nil : .cubic("\(path).conv_s", inputs: inputs, outputs: outputs, extent: 1, hasBias: false)
        var channels = (inputs, middle)
        if case .convolutionFirst = order { channels = (outputs, outputs) }
        firstNorm = hasSpade ? SpadeNorm("\(path).norm_0", channels: channels.0, norms) : nil
        secondNorm = hasSpade ? SpadeNorm("\(path).norm_1", channels: channels.1, norms) : nil
    }

    var parameters: [Parameter] {
        first.parameters + second.parameters + (shortcut?.parameters ?? [])
            + [firstNorm, secondNorm].flatMap { $0?.parameters ?? [] }
    }

    func callAsFunction(_ x: GraphValue) -> GraphValue {
        func norm(_ spade: SpadeNorm?, _ h: GraphValue) -> GraphValue {
            spade?(h) ?? GroupNorm.instance(channels: h.shape[1])(h)
        }
        let h: GraphValue
        switch order {
        case .normFirst:
            let half = first(norm(firstNorm, x).leakyReLU(slope: 0.2))
            h = second(norm(secondNorm, half).leakyReLU(slope: 0.2))
        case .convolutionFirst:
            h = norm(secondNorm, second(norm(firstNorm, first(x).relu())).relu())
        }
        return h + (shortcut?(x) ?? x)
    }
}

/// The norm of each item's target: instance normalisation n, scaled and shifted at every element by maps of the layer's own
/// input, (1 + gamma) n + beta or gamma n + beta.
///
/// Park et al.: *Semantic Image Synthesis with Spatially-Adaptive Normalization*, arXiv 1903.07291.
struct SpadeNorm: Layer {
    let norm: GroupNorm
    /// The maps of each item's target, or one of all.
    let maps: [Maps]
    let usesOnePlusGamma: Bool

    /// The kernels that give gamma and beta of a target.
    struct Maps: Layer {
        let target: Int
        let shared, gamma, beta: Convolution

        var parameters: [Parameter] { shared.parameters + gamma.parameters + beta.parameters }

        /// Gamma and beta, each of x's shape.
        func callAsFunction(_ x: GraphValue) -> (gamma: GraphValue, beta: GraphValue) {
            let map = shared(x).relu()
            return (gamma(map), beta(map))
        }
    }

    /// Parameters `path.spades.K.mlp_shared.0`, `.mlp_gamma` and `.mlp_beta`, K being each target.
    init(_ path: String, channels: Int, _ norms: SpadeNorms) {
        norm = .instance(channels: channels)
        maps = norms.targets.map { target in
            let path = "\(path).spades.\(target)"
            return Maps(
                target: target,
                shared: .cubic("\(path).mlp_shared.0", inputs: channels, outputs: norms.hidden),
                gamma: .cubic("\(path).mlp_gamma", inputs: norms.hidden, outputs: channels),
                beta: .cubic("\(path).mlp_beta", inputs: norms.hidden, outputs: channels))
        }
        usesOnePlusGamma = norms.usesOnePlusGamma
    }

    /// Those of each target, once.
    var parameters: [Parameter] {
        Dictionary(maps.map { ($0.target, $0) }) { first, _ in first }
            .sorted { $0.key < $1.key }.flatMap(\.value.parameters)
    }

    func callAsFunction(_ x: GraphValue) -> GraphValue {
        let (scale, shift) = map(x)
        let normal = norm(x)
        return usesOnePlusGamma ? normal.modulated(scale: scale, shift: shift) : normal * scale + shift
    }

    private func map(_ x: GraphValue) -> (gamma: GraphValue, beta: GraphValue) {
        guard Set(maps.map(\.target)).count > 1 else { return maps[0](x) }
        precondition(maps.count == x.shape[0], "\(maps.count) targets are not those of \(x.shape)")
        let items = maps.enumerated().map { item, map in map(x.slice(axis: 0, item..<item + 1)) }
        return (.concatenated(items.map(\.gamma), axis: 0), .concatenated(items.map(\.beta), axis: 0))
    }
}
