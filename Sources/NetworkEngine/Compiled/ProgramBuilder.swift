import Networks

/// Compiles a graph into passes over blocks.
///
/// Operations that only change how an image is read (reshaping, transposing, splitting or joining channels) become
/// nothing. Normalisation, modulation, SiLU and resampling are deferred to the consumer of the image. A sum becomes
/// the last part of the later of two convolutions. Convolutions, attention and a
/// few passes over tokens remain.
struct ProgramBuilder {
    private let graph: Graph
    private let uses: [Int]
    private let weights: LayerWeights
    var images: [ArenaPlan.Image] = []
    var steps: [any ProgramStep] = []
    private var values: [Int: ImageValue] = [:]

    /// An operation's result.
    struct ImageValue {
        var expression: ImageExpression
        /// Whether GELU is still to be applied.
        var awaitsGELU = false
    }

    /// The program of a graph for one image.
    ///
    /// - Throws: `UnsupportedOperation` naming an operation that cannot be compiled.
    static func program(_ graph: Graph, weights: LayerWeights, threads: Int) throws(UnsupportedOperation)
        -> Program
    {
        try check(graph)
        var builder = ProgramBuilder(graph, weights: weights)
        for (index, dependence) in graph.dependences.enumerated() {
            let node = graph.nodes[index]
            if dependence.contains(.images) {
                builder.values[index] = try builder.value(of: node)
            } else if let parameter = node.operation.parameters.first(where: { weights.shared[$0.name] == nil })
            {
                throw unsupported(node, unread(parameter))
            }
        }
        guard let last = builder.values[graph.nodes.count - 1] else {
            throw unsupported(graph.nodes[graph.nodes.count - 1], "the result does not depend on the images")
        }
        let result = builder.plain(last).expression
        builder.addMeasures()
        let plan = ArenaPlan(
            images: builder.images, steps: builder.steps, results: result.images, threads: threads)
        return Program(steps: builder.steps, plan: plan, result: result)
    }

    private init(_ graph: Graph, weights: LayerWeights) {
        (self.graph, self.weights) = (graph, weights)
        var uses = [Int](repeating: 0, count: graph.nodes.count)
        for operand in graph.nodes.flatMap(\.operands) { uses[operand] += 1 }
        // A view of an image shares it with all other users of the image.
        for (index, node) in graph.nodes.enumerated() {
            switch node.operation {
            case .reshaped, .transposed, .slice, .concatenated:
                uses[index] = node.operands.reduce(uses[index]) { max($0, uses[$1]) }
            default: break
            }
        }
        self.uses = uses
    }

    // MARK: Operations

    /// Adds the passes that an operation needs, and returns its result.
    private mutating func value(of node: Graph.Node) throws(UnsupportedOperation) -> ImageValue {
        switch node.operation {
        case .image(let index): return load(index, shape: node.shape)
        case .linear(let layer):
            return convolved(try operand(node, 0), try read(layer.weight, for: node) { $0.convolution($1) })
        case .convolution(let layer):
            let (geometry, stride) = (KernelGeometry(layer), layer.stride[0])
            let weights = try read(layer.weight, for: node) {
                $0.convolution($1, stride: stride).flatMap { $0.geometry == geometry ? $0 : nil }
            }
            return convolved(try operand(node, 0), weights)
        case .groupNorm(let layer):
            var (weight, bias): (FloatBuffer?, FloatBuffer?)
            if let scale = layer.weight { weight = try read(scale, for: node) { $0.numbers($1) } }
            if let shift = layer.bias { bias = try read(shift, for: node) { $0.numbers($1) } }
            return staged(try operand(node, 0), .normalize(layer, weight: weight, bias: bias))
        case .layerNorm(let layer):
            return normalized(
                try operand(node, 0), weight: try read(layer.weight, for: node) { $0.numbers($1) },
                bias: try read(layer.bias, for: node) { $0.numbers($1) }, epsilon: layer.epsilon)
        case .codebook(let layer):
            return quantized(try operand(node, 0), layer, try read(layer.weight, for: node) { $0.numbers($1) })
        case .silu: return activated(try operand(node, 0), .silu)
        case .relu: return activated(try operand(node, 0), .leakyReLU(slope: 0))
        case .leakyReLU(let slope): return activated(try operand(node, 0), .leakyReLU(slope: slope))
        case .gelu:
            var x = plain(try operand(node, 0))
            x.awaitsGELU = true
            return x
        case .attention(let heads):
            return attended(
                try operand(node, 0), keys: try tokens(node, 1), values: try tokens(node, 2), heads: heads,
                contextTokens: graph.nodes[node.operands[1]].shape[1])
        case .averagePooled: return resampled(try operand(node, 0), .half)
        case .upsampled:
            return resampled(try operand(node, 0), .double(planes: node.shape.count == 5 ? 2 : 1))
        case .sum:
            let (a, b) = (node.operands[0], node.operands[1])
            return sum((try operand(node, 0), uses[a]), (try operand(node, 1), uses[b]))
        case .product:
            let factors = [try operand(node, 0), try operand(node, 1)]
            if let gate = factors.first(where: \.awaitsGELU),
                let value = factors.first(where: { !$0.awaitsGELU })
            {
                return gated(value, by: gate)
            }
            return multiplied(factors[0], by: factors[1], addsOne: false)
        case .shifted: return staged(try operand(node, 0), .shift(try shared(node, 1)))
        case .modulated:
            if graph.nodes[node.operands[1]].shape.count > 2 {
                let scaled = multiplied(try operand(node, 0), by: try operand(node, 1), addsOne: true)
                return sum((scaled, 1), (try operand(node, 2), uses[node.operands[2]]))
            }
            return staged(
                try operand(node, 0), .modulate(scale: try shared(node, 1), shift: try shared(node, 2)))
        case .concatenated(let axis): return try concatenated(node, axis: axis)
        case .slice(let axis, let range): return try slice(node, axis: axis, range)
        case .reshaped: return try reshaped(node)
        case .transposed: return try operand(node, 0)
        case .shared: preconditionFailure("a shared input depends on no image")
        }
    }

    /// Checks the sizes and the layout of images, which shapes alone need not show.
    static func check(_ graph: Graph) throws(UnsupportedOperation) {
        let dependences = graph.dependences
        for (node, dependence) in zip(graph.nodes, dependences) where dependence.contains(.images) {
            let operands = node.operands.filter { dependences[$0].contains(.images) }.map { graph.nodes[$0] }
            let (tokens, rank) = (operands.map(\.isTokens), operands.first?.shape.count)
            let fits =
                switch node.operation {
                case .image: (3...5).contains(node.shape.count)
                case .linear, .layerNorm, .attention: !tokens.contains(false) && rank == 3
                case .convolution(let layer): !tokens.contains(true) && KernelGeometry(layer) != nil
                case .groupNorm, .codebook, .shifted, .modulated: !tokens.contains(true)
                case .averagePooled: !tokens.contains(true) && rank == 4
                case .upsampled: !tokens.contains(true) && (rank == 4 || rank == 5)
                case .concatenated: Set(tokens).count <= 1 && (tokens.first != true || rank == 3)
                case .sum, .product: Set(tokens).count <= 1
                case .transposed: node.shape.count == 3
                default: true
                }
            guard fits else { throw unsupported(node, "there are no kernels for images of this layout") }
        }
    }

    static func unsupported(_ node: Graph.Node, _ reason: String) -> UnsupportedOperation {
        UnsupportedOperation(node, by: "the compiled engine", reason: reason)
    }

    private static func unread(_ parameter: Parameter) -> String {
        "'\(parameter.name)' was not read for it; images of the planned size do not pass through this layer"
    }

    // MARK: Operands

    private func operand(_ node: Graph.Node, _ place: Int) throws(UnsupportedOperation) -> ImageValue {
        guard let value = values[node.operands[place]] else {
            throw Self.unsupported(node, "operand \(place) must depend on the images")
        }
        return value
    }

    private func shared(_ node: Graph.Node, _ place: Int) throws(UnsupportedOperation) -> Int {
        let index = node.operands[place]
        guard values[index] == nil else {
            throw Self.unsupported(node, "operand \(place) must not depend on the images")
        }
        return index
    }

    private mutating func tokens(
        _ node: Graph.Node, _ place: Int
    ) throws(UnsupportedOperation) -> AttentionStep.Tokens {
        guard let value = values[node.operands[place]] else { return .shared(try shared(node, place)) }
        return .image(plain(value).expression.blocks)
    }

    private func read<Packed>(
        _ parameter: Parameter, for node: Graph.Node, _ find: (LayerWeights, Parameter) -> Packed?
    ) throws(UnsupportedOperation) -> Packed {
        guard let packed = find(weights, parameter) else {
            throw Self.unsupported(node, Self.unread(parameter))
        }
        return packed
    }

    // MARK: Views

    private mutating func concatenated(
        _ node: Graph.Node, axis: Int
    ) throws(UnsupportedOperation) -> ImageValue {
        var parts: [ImageValue] = []
        for place in node.operands.indices { parts.append(plain(try operand(node, place))) }
        guard axis == (node.isTokens ? node.shape.count - 1 : 1) else {
            throw Self.unsupported(node, "only channels can be joined")
        }
        var result = parts[0]
        if parts.dropLast().allSatisfy({ $0.expression.channels % Block.lanes == 0 }) {
            result.expression.blocks = parts.flatMap(\.expression.blocks)
            result.expression.channels = parts.reduce(0) { $0 + $1.expression.channels }
        } else {
            let channels = parts.flatMap { part in
                (0..<part.expression.channels).map {
                    (part.expression.blocks[$0 / Block.lanes], $0 % Block.lanes)
                }
            }
            result.expression = gathered(channels, like: result.expression)
        }
        return result
    }

    private mutating func slice(
        _ node: Graph.Node, axis: Int, _ range: Range<Int>
    ) throws(UnsupportedOperation) -> ImageValue {
        var x = plain(try operand(node, 0))
        let shape = graph.nodes[node.operands[0]].shape
        guard axis == (node.isTokens ? shape.count - 1 : 1) else {
            throw Self.unsupported(node, "only channels can be split")
        }
        let lanes = Block.lanes
        let channels = (0..<x.expression.channels).filter { range.contains($0 % shape[axis]) }
        let places = channels.map { (x.expression.blocks[$0 / lanes], $0 % lanes) }
        let isWhole = { (first: Int) in
            places[first..<first + lanes].enumerated().allSatisfy { $1.0 == places[first].0 && $1.1 == $0 }
        }
        if channels.count % lanes == 0 && stride(from: 0, to: channels.count, by: lanes).allSatisfy(isWhole) {
            x.expression.blocks = stride(from: 0, to: channels.count, by: lanes).map { places[$0].0 }
            x.expression.channels = channels.count
        } else {
            x.expression = gathered(places, like: x.expression)
        }
        return x
    }

    private mutating func reshaped(_ node: Graph.Node) throws(UnsupportedOperation) -> ImageValue {
        let old = try operand(node, 0)
        var x = old.expression.resampling == .same ? old : plain(old)
        let (channels, pixels) = (x.expression.channels, x.expression.pixels)
        if node.isTokens {
            guard node.shape.count > 2, node.shape[1] == pixels else {
                throw Self.unsupported(node, "[1, tokens, channels] can only be split after the tokens")
            }
        } else {
            guard (3...5).contains(node.shape.count), node.shape[1] == channels else {
                throw Self.unsupported(node, "[1, channels, ...] can only become [1, channels, ...]")
            }
            x.expression.extents = Extents(node.shape[2...])
        }
        return x
    }
}
