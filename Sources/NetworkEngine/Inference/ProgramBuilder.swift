import Networks

/// Turns a record of operations into passes over blocks: the second half of compiling a network.
///
/// Operations that only change how an image is looked at (reshaping, transposing, splitting or joining channels)
/// become nothing. Normalisation, modulation, SiLU and resampling wait for whoever reads the image. A sum becomes
/// the last thing that the later of two convolutions does. What is left are convolutions, attention and a few
/// passes over tokens.
struct ProgramBuilder {
    private let nodes: [NetworkRecorder.Node]
    private let weights: LayerWeights
    private let uses: [Int]
    private var images: [ArenaPlan.Image] = []
    private var steps: [any ProgramStep] = []
    private var values: [Int: ImageValue] = [:]

    /// An operation's result: an expression, and how its shape is to be read.
    private struct ImageValue {
        var expression: ImageExpression
        /// `[1, pixels, channels...]` rather than `[1, channels, pixels...]`.
        var isTokens = false
        /// Whether GELU is still to be taken.
        var awaitsGELU = false
    }

    /// The program of a record, whose last operation is the result.
    ///
    /// - Throws: `CompilationError` naming an operation that cannot be compiled.
    static func program(
        _ nodes: [NetworkRecorder.Node], weights: LayerWeights, threads: Int
    ) throws(CompilationError) -> Program {
        var builder = ProgramBuilder(nodes, weights: weights)
        for index in nodes.indices where nodes[index].dependence.contains(.window) {
            try builder.checkLayout(nodes[index])
            builder.values[index] = try builder.value(of: nodes[index])
        }
        guard let last = builder.values[nodes.count - 1] else {
            throw CompilationError(operation: "the result", reason: "it does not depend on the window's images")
        }
        let result = builder.plain(last).expression
        builder.addMeasures()
        let plan = ArenaPlan(
            images: builder.images, steps: builder.steps, results: result.images, threads: threads)
        return Program(steps: builder.steps, plan: plan, result: result)
    }

    private init(_ nodes: [NetworkRecorder.Node], weights: LayerWeights) {
        self.nodes = nodes
        self.weights = weights
        var uses = [Int](repeating: 0, count: nodes.count)
        for operand in nodes.flatMap(\.operands) { uses[operand] += 1 }
        // Whoever looks at an image in another way shares it with all who use the image.
        for (index, node) in nodes.enumerated() {
            switch node.operation {
            case .reshaped, .transposed, .slice, .concatenated:
                uses[index] = node.operands.reduce(uses[index]) { max($0, uses[$1]) }
            default: break
            }
        }
        self.uses = uses
    }

    /// Adds the passes that an operation needs, and says what its result is.
    private mutating func value(of node: NetworkRecorder.Node) throws(CompilationError) -> ImageValue {
        switch node.operation {
        case .image(let index): return load(index, shape: node.shape)
        case .linear(let layer):
            return convolved(try operand(node, 0), weights.convolution(layer.weight), isTokens: true)
        case .convolution(let layer):
            return convolved(try operand(node, 0), weights.convolution(layer.weight), isTokens: false)
        case .groupNorm(let layer):
            var x = try operand(node, 0)
            if x.expression.isBent || x.expression.resampling != .same || x.awaitsGELU { x = plain(x) }
            x.expression.stages.append(
                .normalize(layer, weight: weights.numbers(layer.weight), bias: weights.numbers(layer.bias)))
            return x
        case .layerNorm(let layer): return normalized(try operand(node, 0), layer)
        case .silu:
            var x = try operand(node, 0)
            if x.expression.isBent || x.expression.resampling == .half || x.awaitsGELU { x = plain(x) }
            x.expression.isBent = true
            return x
        case .gelu:
            var x = plain(try operand(node, 0))
            x.awaitsGELU = true
            return x
        case .attention(let heads): return try attended(node, heads: heads)
        case .averagePooled: return resampled(try operand(node, 0), .half)
        case .upsampled: return resampled(try operand(node, 0), .double)
        case .sum: return try sum(node)
        case .product: return try product(node)
        case .shifted: return staged(try operand(node, 0), .shift(try shared(node, 1)))
        case .modulated:
            let stage = ImageExpression.Stage.modulate(scale: try shared(node, 1), shift: try shared(node, 2))
            return staged(try operand(node, 0), stage)
        case .concatenated(let axis): return try concatenated(node, axis: axis)
        case .slice(let axis, let range): return try slice(node, axis: axis, range)
        case .reshaped: return try reshaped(node)
        case .transposed:
            var x = try operand(node, 0)
            guard node.shape.count == 3 else { throw unsupported(node, "only [batch, rows, columns] is") }
            x.isTokens.toggle()
            return x
        case .shared: throw unsupported(node, "a shared input is no image")
        }
    }

    /// Checks that images lie as an operation reads them, which their shapes alone need not show.
    private func checkLayout(_ node: NetworkRecorder.Node) throws(CompilationError) {
        let places = node.operands.filter { values[$0] != nil }
        let (tokens, rank) = (
            places.map { values[$0]?.isTokens == true }, places.first.map { nodes[$0].shape.count }
        )
        let fits =
            switch node.operation {
            case .linear, .layerNorm, .attention: !tokens.contains(false) && rank == 3
            case .convolution(let layer):
                !tokens.contains(true) && layer.stride <= (rank == 4 ? 2 : 1)
                    && (rank == 4 || layer.padding == 0)
            case .groupNorm, .shifted, .modulated: !tokens.contains(true)
            case .averagePooled, .upsampled: !tokens.contains(true) && rank == 4
            case .concatenated: Set(tokens).count <= 1 && (tokens.first != true || rank == 3)
            case .sum, .product: Set(tokens).count <= 1
            default: true
            }
        guard fits else { throw unsupported(node, "no kernel reads images that lie in this way") }
    }

    // MARK: Operands

    private func operand(
        _ node: NetworkRecorder.Node, _ place: Int
    ) throws(CompilationError) -> ImageValue {
        guard let value = values[node.operands[place]] else {
            throw unsupported(node, "operand \(place) must depend on the window's images")
        }
        return value
    }

    private func shared(_ node: NetworkRecorder.Node, _ place: Int) throws(CompilationError) -> Int {
        let index = node.operands[place]
        guard !nodes[index].dependence.contains(.window) else {
            throw unsupported(node, "operand \(place) must not depend on the window's images")
        }
        return index
    }

    private func unsupported(_ node: NetworkRecorder.Node, _ reason: String) -> CompilationError {
        CompilationError(operation: "\(node.operation) to \(node.shape)", reason: reason)
    }

    // MARK: Passes

    private mutating func newImage(channels: Int, rows: Int, columns: Int) -> (
        index: Int, image: ImageExpression
    ) {
        let image = ArenaPlan.Image(channels: channels, rows: rows, columns: columns)
        images.append(image)
        let index = images.count - 1
        let references = (0..<image.blocks).map { BlockReference(image: index, block: $0) }
        return (index, ImageExpression(blocks: references, channels: channels, rows: rows, columns: columns))
    }

    private mutating func load(_ index: Int, shape: [Int]) -> ImageValue {
        let new = newImage(channels: shape[1], rows: shape[2], columns: shape[3])
        steps.append(
            LoadStep(image: index, channels: shape[1], pixels: shape[2] * shape[3], writes: new.index))
        return ImageValue(expression: new.image)
    }

    /// The same image with nothing left to be done to it.
    private mutating func plain(_ x: ImageValue) -> ImageValue {
        if x.expression.isPlain && !x.awaitsGELU { return x }
        let (rows, columns) = x.expression.size
        let new = newImage(channels: x.expression.channels, rows: rows, columns: columns)
        if x.awaitsGELU {
            steps.append(
                GateStep(value: nil, gate: x.expression.blocks, pixels: rows * columns, writes: new.index))
        } else {
            steps.append(WriteStep(source: x.expression, addend: nil, writes: new.index))
        }
        return ImageValue(expression: new.image, isTokens: x.isTokens)
    }

    private mutating func convolved(
        _ x: ImageValue, _ weights: PackedConvolution, isTokens: Bool
    ) -> ImageValue {
        let x = x.awaitsGELU || (weights.kernel == 1 && x.expression.resampling != .same) ? plain(x) : x
        let size = x.expression.size
        let extent = { (n: Int) in (n + 2 * weights.padding - weights.kernel) / weights.stride + 1 }
        let (rows, columns) = (extent(size.rows), extent(size.columns))
        let new = newImage(channels: weights.outputs, rows: rows, columns: columns)
        steps.append(
            ConvolutionStep(
                source: x.expression, weights: weights, residual: nil, writes: new.index, rows: rows,
                columns: columns))
        return ImageValue(expression: new.image, isTokens: isTokens)
    }

    private mutating func normalized(_ x: ImageValue, _ layer: LayerNorm) -> ImageValue {
        let x = plain(x).expression
        let new = newImage(channels: x.channels, rows: x.rows, columns: x.columns)
        steps.append(
            LayerNormStep(
                source: x.blocks, channels: x.channels, pixels: x.pixels, weight: weights.numbers(layer.weight),
                bias: weights.numbers(layer.bias), epsilon: layer.epsilon, writes: new.index))
        return ImageValue(expression: new.image, isTokens: true)
    }

    private mutating func attended(
        _ node: NetworkRecorder.Node, heads: Int
    ) throws(CompilationError) -> ImageValue {
        let queries = plain(try operand(node, 0)).expression
        var context: [AttentionStep.Tokens] = []
        for place in 1...2 {
            if let value = values[node.operands[place]] {
                context.append(.image(plain(value).expression.blocks))
            } else {
                context.append(.shared(try shared(node, place)))
            }
        }
        let new = newImage(channels: queries.channels, rows: queries.rows, columns: queries.columns)
        steps.append(
            AttentionStep(
                queries: queries.blocks, keys: context[0], values: context[1], channels: queries.channels,
                heads: heads, pixels: queries.pixels, contextTokens: nodes[node.operands[1]].shape[1],
                writes: new.index))
        return ImageValue(expression: new.image, isTokens: true)
    }

    private mutating func resampled(_ x: ImageValue, _ resampling: ImageExpression.Resampling) -> ImageValue {
        var x = x.expression.resampling != .same || x.awaitsGELU ? plain(x) : x
        x.expression.resampling = resampling
        return x
    }

    private mutating func staged(_ x: ImageValue, _ stage: ImageExpression.Stage) -> ImageValue {
        var x = x.expression.isBent || x.expression.resampling != .same || x.awaitsGELU ? plain(x) : x
        x.expression.stages.append(stage)
        return x
    }

    private mutating func product(_ node: NetworkRecorder.Node) throws(CompilationError) -> ImageValue {
        let operands = [try operand(node, 0), try operand(node, 1)]
        guard let gate = operands.first(where: \.awaitsGELU),
            let value = operands.first(where: { !$0.awaitsGELU })
        else { throw unsupported(node, "one factor must be a GELU, and the other not") }
        let factor = plain(value).expression
        let new = newImage(channels: factor.channels, rows: factor.rows, columns: factor.columns)
        steps.append(
            GateStep(
                value: factor.blocks, gate: gate.expression.blocks, pixels: factor.pixels, writes: new.index))
        return ImageValue(expression: new.image, isTokens: value.isTokens)
    }

    // MARK: Sums

    private mutating func sum(_ node: NetworkRecorder.Node) throws(CompilationError) -> ImageValue {
        let places = [0, 1].sorted { writer(node.operands[$0]) > writer(node.operands[$1]) }
        for (place, other) in [(places[0], places[1]), (places[1], places[0])] {
            let (later, earlier) = (try operand(node, place), try operand(node, other))
            if let joined = joined(later, uses: uses[node.operands[place]], with: earlier) { return joined }
        }
        let (a, b) = (try operand(node, 0), plain(try operand(node, 1)))
        let source = a.awaitsGELU ? plain(a) : a
        let (rows, columns) = source.expression.size
        let new = newImage(channels: source.expression.channels, rows: rows, columns: columns)
        steps.append(
            WriteStep(source: source.expression, addend: b.expression.blocks, writes: new.index))
        return ImageValue(expression: new.image, isTokens: a.isTokens)
    }

    /// Has the convolution that gives `later`, if one does and for nothing else, add `earlier` to its result.
    private mutating func joined(_ later: ImageValue, uses: Int, with earlier: ImageValue) -> ImageValue? {
        guard uses == 1, later.expression.isPlain, let image = later.expression.images.first,
            later.expression.images.count == 1, later.expression.blocks.count == images[image].blocks,
            let index = steps.firstIndex(where: { $0.writes == image }),
            var step = steps[index] as? ConvolutionStep, step.residual == nil, !earlier.awaitsGELU,
            earlier.expression.images.allSatisfy({ image in steps[..<index].contains { $0.writes == image } })
        else { return nil }
        if earlier.expression.isPlain {
            step.residual = earlier.expression.blocks
            steps[index] = step
        } else {
            let (rows, columns) = earlier.expression.size
            let new = newImage(channels: earlier.expression.channels, rows: rows, columns: columns)
            step.residual = new.image.blocks
            steps[index] = step
            steps.insert(WriteStep(source: earlier.expression, addend: nil, writes: new.index), at: index)
        }
        return later
    }

    private func writer(_ node: Int) -> Int {
        let images = values[node]?.expression.images ?? []
        return steps.lastIndex { images.contains($0.writes) } ?? -1
    }

    // MARK: Channels

    private mutating func concatenated(
        _ node: NetworkRecorder.Node, axis: Int
    ) throws(CompilationError) -> ImageValue {
        var parts: [ImageValue] = []
        for place in node.operands.indices { parts.append(plain(try operand(node, place))) }
        guard axis == (parts[0].isTokens ? node.shape.count - 1 : 1) else {
            throw unsupported(node, "only channels can be joined")
        }
        var result = parts[0]
        if parts.dropLast().allSatisfy({ $0.expression.channels % lanes == 0 }) {
            result.expression.blocks = parts.flatMap(\.expression.blocks)
            result.expression.channels = parts.reduce(0) { $0 + $1.expression.channels }
        } else {
            let channels = parts.flatMap { part in
                (0..<part.expression.channels).map { (part.expression.blocks[$0 / lanes], $0 % lanes) }
            }
            result.expression = gathered(channels, like: result.expression)
        }
        return result
    }

    private mutating func slice(
        _ node: NetworkRecorder.Node, axis: Int, _ range: Range<Int>
    ) throws(CompilationError) -> ImageValue {
        var x = plain(try operand(node, 0))
        let shape = nodes[node.operands[0]].shape
        guard axis == (x.isTokens ? shape.count - 1 : 1) else {
            throw unsupported(node, "only channels can be split")
        }
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

    private mutating func gathered(
        _ channels: [(BlockReference, Int)], like image: ImageExpression
    ) -> ImageExpression {
        let new = newImage(channels: channels.count, rows: image.rows, columns: image.columns)
        steps.append(
            GatherStep(
                channels: channels.map { (block: $0.0, lane: $0.1) }, pixels: image.pixels, writes: new.index))
        return new.image
    }

    // MARK: Shapes

    private mutating func reshaped(_ node: NetworkRecorder.Node) throws(CompilationError) -> ImageValue {
        let old = try operand(node, 0)
        var x = old.expression.resampling == .same ? old : plain(old)
        let (channels, pixels) = (x.expression.channels, x.expression.pixels)
        if x.isTokens {
            guard node.shape.count > 2, node.shape[1] == pixels else {
                throw unsupported(node, "[1, tokens, channels] can only be split after the tokens")
            }
        } else {
            guard (3...4).contains(node.shape.count), node.shape[1] == channels else {
                throw unsupported(node, "[1, channels, ...] can only become [1, channels, ...]")
            }
            x.expression.rows = node.shape.count == 4 ? node.shape[2] : 1
            x.expression.columns = node.shape[node.shape.count - 1]
        }
        return x
    }

    /// Takes the moments of images that are normalised, where the step that writes them does not.
    private mutating func addMeasures() {
        let measured = steps.reduce(into: Set<Int>()) { $0.formUnion($1.measures) }
        steps = steps.flatMap { step -> [any ProgramStep] in
            step.takesMoments || !measured.contains(step.writes)
                ? [step] : [step, MeasureStep(writes: step.writes)]
        }
    }
}

/// Passes in order, where their images lie, and which of them is the result.
struct Program: Sendable {
    let steps: [any ProgramStep]
    let plan: ArenaPlan
    let result: ImageExpression
}

/// Why a network cannot be compiled.
public struct CompilationError: Error, Equatable, CustomStringConvertible {
    /// The operation, with the shape of its result.
    public let operation: String
    /// What is not possible.
    public let reason: String

    /// The operation, and what is not possible.
    public var description: String {
        "\(operation) cannot be compiled: \(reason); evaluate this network with TensorArithmetic"
    }
}
