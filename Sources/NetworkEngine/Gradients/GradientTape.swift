import Networks
import TensorFiles
import VoxelSupport

/// Evaluates networks on a batch and records how to differentiate them: reverse-mode differentiation.
///
/// ```swift
/// let tape = gradients.tape(weights) { $0.hasPrefix("decoder.") }
/// let decoded = try tape.evaluate(decoder, images: [tape.input(latent)])
/// let logits = try tape.evaluate(discriminator, images: [decoded])       // frozen: the gradient passes through it
/// let slopes = (decoded: ..., logits: ...)                               // of the losses of `tape.tensor(decoded)`, ...
/// try tape.differentiate([(decoded, slopes.decoded), (logits, slopes.logits)])
/// let gradient = tape.gradient(of: parameter)
/// ```
///
/// Every operation computes its result at once and records a step that turns the gradient of its result into those
/// of its operands and parameters. `differentiate` runs the steps backwards. Griewank, Walther: *Evaluating
/// Derivatives*, chapter 3. An operation that neither a trained parameter nor an input whose gradient is wanted precedes is
/// not recorded.
///
/// Sums over pixels and images run in one order whatever the number of threads, so gradients have the same bits on
/// any number of them.
package final class GradientTape {
    /// An operation's result, and in the backward pass its gradient.
    package final class Value {
        /// `[batch, channels, spatial...]`, or `[batch, tokens, channels...]` for tokens.
        package let shape: [Int]
        /// `[batch, tokens, channels...]` rather than `[batch, channels, spatial...]`.
        let isTokens: Bool
        private var known: BlockedTensor?
        /// How the numbers are computed, where they are not known yet, and of which.
        private(set) var deferred: (normalization: Normalization, source: Value)?
        /// Whether it depends on a trained parameter or on an input whose gradient is wanted.
        let wantsGradient: Bool
        /// The number of its step on the tape; -1 for inputs.
        fileprivate let step: Int
        fileprivate(set) var gradient: BlockedTensor?

        fileprivate init(
            _ data: BlockedTensor?, shape: [Int], isTokens: Bool, wantsGradient: Bool,
            deferred: (Normalization, Value)? = nil, step: Int = -1
        ) {
            (known, self.deferred) = (data, deferred)
            (self.shape, self.isTokens) = (shape, isTokens)
            (self.wantsGradient, self.step) = (wantsGradient, step)
        }

        /// The numbers, computed now where they are not known yet.
        var data: BlockedTensor {
            if let known { return known }
            guard let data = deferred?.normalization.numbers else { preconditionFailure("a value has numbers") }
            (known, deferred) = (data, nil)
            return data
        }

        /// The numbers, row by row.
        var numbers: Numbers { deferred.map { .deferred($0.normalization) } ?? .known(data) }
    }

    /// Numbers that are known, or computed where they are read.
    enum Numbers: Sendable {
        case known(BlockedTensor)
        case deferred(Normalization)

        /// Numbers of the same shape.
        var like: BlockedTensor {
            switch self {
            case .known(let data): data
            case .deferred(let normalization): normalization.x
            }
        }

        /// Writes one row of a block of one image, `[columns][16]`.
        func copyRow(
            _ row: Int, columns: Int, of block: Int, _ item: Int, to target: UnsafeMutablePointer<Float>
        ) {
            switch self {
            case .known(let data): data.copyRow(row, columns: columns, of: block, item, to: target)
            case .deferred(let normalization):
                normalization.copyRow(row, columns: columns, of: block, item, to: target)
            }
        }
    }

    /// How to go back over an operation.
    private struct Step {
        /// The trained parameters that it uses.
        let parameters: [String]
        let run: () throws -> Void
    }

    let memory: BufferPool
    let workers: WorkerPool
    private let parameters: [String: Tensor]
    private let trains: (String) -> Bool
    private let recomputes: Bool
    private var sums: [String: [Float]] = [:]
    private var steps: [Step] = []
    private var isRecording = true
    /// The parameters whose gradients are computed, nil for all that are trained, and the first step to go back to.
    private var wanted: (names: Set<String>, firstStep: Int)?

    /// - Parameters:
    ///   - parameters: every parameter of the networks, by name.
    ///   - trains: whether a parameter's gradient is wanted, by its name.
    ///   - recomputes: whether segments are evaluated again in the backward pass, rather than recorded.
    init(
        parameters: [String: Tensor], trains: @escaping (String) -> Bool, memory: BufferPool,
        workers: WorkerPool, recomputes: Bool
    ) {
        (self.parameters, self.trains, self.recomputes) = (parameters, trains, recomputes)
        (self.memory, self.workers) = (memory, workers)
    }

    // MARK: Forwards

    /// An image, `[batch, channels, ...]`.
    ///
    /// - Parameter wantsGradient: whether `gradient(of:)` is to know its gradient.
    package func input(_ tensor: Tensor, wantsGradient: Bool = false) -> Value {
        input(tensor, isTokens: false, wantsGradient: wantsGradient)
    }

    /// Evaluates a network.
    ///
    /// - Parameters:
    ///   - network: the network.
    ///   - images: one for each of the network's images, inputs or results of this tape.
    ///   - shared: one for each of the network's shared inputs, `[batch, ...]`.
    /// - Throws: `UnsupportedOperation` naming an operation that has no gradient here.
    package func evaluate(_ network: some Network, images: [Value], shared: [Tensor] = []) throws -> Value {
        let shape = images[0].shape
        return try evaluate(
            network.graph(batch: shape[0], size: Array(shape[2...])), images: images, shared: shared)
    }

    /// Evaluates a graph.
    private func evaluate(_ graph: Graph, images: [Value], shared: [Tensor]) throws -> Value {
        precondition(
            graph.imageShapes == images.map(\.shape) && graph.sharedShapes == shared.map(\.shape),
            "inputs of \(images.map(\.shape)) and \(shared.map(\.shape)) are not those of the network")
        let lastUses = graph.lastUses
        var values = [Int: Value]()
        var segments = graph.segments[...]
        var index = 0
        while index < graph.nodes.count {
            let node = graph.nodes[index]
            var used = node.operands
            switch node.operation {
            case .image(let input): values[index] = images[input]
            case .shared(let input):
                values[index] = self.input(shared[input], isTokens: node.isTokens, wantsGradient: false)
            default:
                if let segment = segments.first, segment.nodes.lowerBound == index {
                    segments.removeFirst()
                    index = segment.nodes.upperBound - 1
                    values[index] = try evaluate(
                        segment, of: graph, lastUses, segment.inputs.compactMap { values[$0] })
                    used = segment.inputs
                } else {
                    values[index] = try apply(node, to: node.operands.compactMap { values[$0] })
                }
            }
            // What nobody needs any more is released.
            for operand in used where lastUses[operand] <= index { values[operand] = nil }
            index += 1
        }
        guard let result = values[graph.nodes.count - 1] else {
            preconditionFailure("a graph has a result")
        }
        return result
    }

    /// A value's numbers, in its shape.
    package func tensor(_ value: Value) -> Tensor {
        Tensor(shape: value.shape, values: value.data.values(isTokens: value.isTokens))
    }

    private func input(_ tensor: Tensor, isTokens: Bool, wantsGradient: Bool) -> Value {
        let shape = tensor.shape
        let channels = isTokens ? shape[shape.count - 1] : shape[1]
        let batch = shape[0]
        let data = BlockedTensor(
            tensor.values, channels: channels, batch: batch, pixels: tensor.count / max(1, batch * channels),
            isTokens: isTokens, from: memory)
        return Value(data, shape: shape, isTokens: isTokens, wantsGradient: wantsGradient)
    }

    // MARK: Backwards

    /// Runs the recorded steps backwards, from the gradients of some values, and drops them.
    ///
    /// Gradients of parameters and inputs are added to those of earlier calls.
    ///
    /// - Parameter slopes: values, each with the gradient of the loss with respect to it where it acts on the loss directly,
    ///   in its shape.
    package func differentiate(_ slopes: [(value: Value, gradient: Tensor)]) throws {
        seed(slopes)
        try runStepsBackwards()
    }

    /// The gradients of some parameters alone. The tape stays as it is.
    ///
    /// Runs no further back than to the first use of these parameters.
    ///
    /// - Parameters:
    ///   - names: of trained parameters.
    ///   - slopes: as those of `differentiate(_:)`.
    /// - Returns: the gradient of each that the loss depends on.
    package func gradients(
        of names: Set<String>, from slopes: [(value: Value, gradient: Tensor)]
    ) throws -> [String: Tensor] {
        guard let first = steps.firstIndex(where: { !names.isDisjoint(with: $0.parameters) }) else {
            return [:]
        }
        let others = sums
        defer { (sums, wanted) = (others, nil) }
        (sums, wanted) = ([:], (names, first))
        seed(slopes)
        for step in steps[first...].reversed() { try step.run() }
        return gradients
    }

    /// The gradient of every trained parameter that the losses so far depend on.
    package var gradients: [String: Tensor] {
        Dictionary(
            uniqueKeysWithValues: sums.map { name, sums in
                (name, Tensor(shape: parameters[name]?.shape ?? [sums.count], values: sums))
            })
    }

    /// The gradient of a parameter: zeros where it is not trained, or the losses do not depend on it.
    package func gradient(of parameter: Parameter) -> Tensor {
        sums[parameter.name].map { Tensor(shape: parameter.shape, values: $0) }
            ?? Tensor(shape: parameter.shape)
    }

    /// The gradient of an input whose gradient is wanted: zeros where the losses do not depend on it.
    package func gradient(of input: Value) -> Tensor {
        precondition(input.step < 0 && input.wantsGradient, "a value is no input whose gradient is wanted")
        return input.gradient.map {
            Tensor(shape: input.shape, values: $0.values(isTokens: input.isTokens))
        } ?? Tensor(shape: input.shape)
    }

    private func seed(_ slopes: [(value: Value, gradient: Tensor)]) {
        for (value, gradient) in slopes {
            precondition(
                gradient.shape == value.shape, "a gradient \(gradient.shape) is not that of \(value.shape)")
            let data = value.data
            add(
                BlockedTensor(
                    gradient.values, channels: data.channels, batch: data.batch, pixels: data.pixels,
                    isTokens: value.isTokens, from: memory), to: value)
        }
    }

    private func runStepsBackwards() throws {
        while let step = steps.popLast() {
            try TimeLimit.check()
            try step.run()
        }
    }

    // MARK: Segments

    /// The result of a segment. If segments are recomputed, only their inputs and results are kept.
    private func evaluate(
        _ segment: Graph.Segment, of graph: Graph, _ lastUses: [Int], _ inputs: [Value]
    ) throws -> Value {
        // In both cases the gradients of an input inside the segment are summed first: the bits are the same.
        guard recomputes else {
            return try run(
                segment, of: graph, lastUses, inputs.map { view($0, shape: $0.shape, isTokens: $0.isTokens) })
        }
        isRecording = false
        let result = try run(segment, of: graph, lastUses, inputs)
        isRecording = true
        return record(
            result.data, shape: result.shape, isTokens: result.isTokens, from: inputs,
            parameters: segment.nodes.flatMap { graph.nodes[$0].operation.parameters }
        ) { [unowned self] gradient in
            let leaves = inputs.map {
                Value($0.data, shape: $0.shape, isTokens: $0.isTokens, wantsGradient: wants($0))
            }
            let others = (steps, wanted)
            (steps, wanted) = ([], wanted.map { ($0.names, -1) })
            try run(segment, of: graph, lastUses, leaves).gradient = gradient
            try runStepsBackwards()
            (steps, wanted) = others
            for (leaf, input) in zip(leaves, inputs) {
                if let gradient = leaf.gradient { add(gradient, to: input) }
            }
        }
    }

    private func run(
        _ segment: Graph.Segment, of graph: Graph, _ lastUses: [Int], _ inputs: [Value]
    ) throws -> Value {
        var values = Dictionary(uniqueKeysWithValues: zip(segment.inputs, inputs))
        for index in segment.nodes {
            let node = graph.nodes[index]
            values[index] = try apply(node, to: node.operands.compactMap { values[$0] })
            for operand in node.operands where lastUses[operand] <= index { values[operand] = nil }
        }
        guard let result = values[segment.nodes.upperBound - 1] else {
            preconditionFailure("a segment is empty")
        }
        return result
    }

    // MARK: Operations

    private func apply(_ node: Graph.Node, to operands: [Value]) throws -> Value {
        try TimeLimit.check()
        let x = operands[0]
        var result: Value?
        switch node.operation {
        case .linear(let layer):
            result = pointwise(
                x, weight: layer.weight, bias: layer.bias, shape: node.shape, isTokens: x.isTokens)
        case .convolution(let layer): result = convolved(x, layer, shape: node.shape)
        case .groupNorm(let layer): result = normalized(x, layer)
        case .layerNorm(let layer): result = normalized(x, layer)
        case .codebook(let layer): result = quantised(x, by: layer).quantised
        case .silu: result = silu(x)
        case .gelu: result = gelu(x)
        case .relu: result = rectified(x, slope: 0)
        case .leakyReLU(let slope): result = rectified(x, slope: slope)
        case .attention(let heads):
            result = attention(queries: x, keys: operands[1], values: operands[2], heads: heads)
        case .averagePooled: result = averagePooled(x)
        case .upsampled: result = upsampled(x)
        case .sum: result = sum(x, operands[1])
        case .product: result = product(x, operands[1])
        case .shifted: result = shifted(x, by: operands[1])
        case .modulated: result = modulated(x, scale: operands[1], shift: operands[2])
        case .concatenated(let axis): result = concatenated(operands, axis: axis, shape: node.shape)
        case .slice(let axis, let range): result = slice(x, axis: axis, range, shape: node.shape)
        case .reshaped: result = view(x, shape: node.shape, isTokens: x.isTokens)
        case .transposed:
            result = node.shape.count == 3 ? view(x, shape: node.shape, isTokens: !x.isTokens) : nil
        case .image, .shared: break
        }
        guard let result else {
            throw UnsupportedOperation(node, by: "the gradients", reason: "there are no kernels for it")
        }
        return result
    }

    /// The same numbers under another shape or layout.
    private func view(_ x: Value, shape: [Int], isTokens: Bool) -> Value {
        record(x.data, shape: shape, isTokens: isTokens, from: [x]) { [unowned self] in add($0, to: x) }
    }

    /// The numbers of a parameter.
    func parameter(_ parameter: Parameter) -> Tensor { parameters[parameter] }

    /// Adds to a parameter's gradient, which is computed only where it is wanted.
    func add(_ values: @autoclosure () -> [Float], to parameter: Parameter) {
        let name = parameter.name
        guard trains(name), wanted?.names.contains(name) ?? true else { return }
        let values = values()
        guard var sums = sums.removeValue(forKey: name) else {
            self.sums[name] = values
            return
        }
        for index in sums.indices { sums[index] += values[index] }
        self.sums[name] = sums
    }

    /// Memory for a result.
    func empty(channels: Int, like data: BlockedTensor, pixels: Int? = nil) -> BlockedTensor {
        BlockedTensor(channels: channels, batch: data.batch, pixels: pixels ?? data.pixels, from: memory)
    }

    /// Records a result and its backward step, which takes the result's gradient; no other needs that afterwards.
    func record(
        _ data: BlockedTensor, shape: [Int], isTokens: Bool, from operands: [Value],
        parameters: [Parameter] = [], back: @escaping (BlockedTensor) throws -> Void
    ) -> Value {
        record(data, nil, shape: shape, isTokens: isTokens, from: operands, parameters: parameters, back: back)
    }

    /// Records a normalisation whose numbers are computed where they are read.
    func record(
        _ normalization: Normalization, of x: Value, parameters: [Parameter],
        back: @escaping (BlockedTensor) throws -> Void
    ) -> Value {
        record(
            nil, (normalization, x), shape: x.shape, isTokens: false, from: [x], parameters: parameters,
            back: back)
    }

    private func record(
        _ data: BlockedTensor?, _ deferred: (Normalization, Value)?, shape: [Int], isTokens: Bool,
        from operands: [Value], parameters: [Parameter], back: @escaping (BlockedTensor) throws -> Void
    ) -> Value {
        let trained = isRecording ? parameters.map(\.name).filter(trains) : []
        let value = Value(
            data, shape: shape, isTokens: isTokens,
            wantsGradient: isRecording && (!trained.isEmpty || operands.contains(where: \.wantsGradient)),
            deferred: deferred, step: steps.count)
        guard value.wantsGradient else { return value }
        steps.append(
            Step(parameters: trained) {
                guard let gradient = value.gradient else { return }
                value.gradient = nil
                try back(gradient)
            })
        return value
    }

    /// Whether a gradient is to be computed.
    private func wants(_ value: Value) -> Bool {
        value.wantsGradient && (wanted.map { value.step >= $0.firstStep } ?? true)
    }

    /// Adds to a value's gradient, which is computed only where it is wanted. The first `gradient` is kept, not copied, so it
    /// must not be changed afterwards.
    func add(_ gradient: @autoclosure () -> BlockedTensor, to value: Value) {
        guard wants(value) else { return }
        let gradient = gradient()
        guard let known = value.gradient else {
            value.gradient = gradient
            return
        }
        value.gradient = nil
        value.gradient = sum(known, gradient)
    }

    /// `a + b`.
    func sum(_ a: BlockedTensor, _ b: BlockedTensor) -> BlockedTensor {
        let result = empty(channels: a.channels, like: a)
        forEachRun(of: a) { offset, pixels in
            let sums = result.numbers.start + offset
            sums.update(from: a.numbers.start + offset, count: pixels * Block.lanes)
            Block.kernels.add(sums, b.numbers.start + offset, nil, pixels)
        }
        return result
    }

    /// Calls `body` for each block of the whole batch, in runs of pixels that threads share. A run begins at `offset`
    /// in the numbers of every tensor of this size.
    func forEachRun(of data: BlockedTensor, _ body: @Sendable (_ offset: Int, _ pixels: Int) -> Void) {
        workers.split(data.batchPixels, by: Block.lanes) { pixels, _ in
            for block in 0..<data.blockCount {
                body(block * data.stride + pixels.lowerBound * Block.lanes, pixels.count)
            }
        }
    }

    /// Calls `body` for each block of each image, which threads share.
    func forEachImage(of data: BlockedTensor, _ body: @Sendable (_ block: Int, _ item: Int) -> Void) {
        workers.split(data.blockCount * data.batch) { places, _ in
            for place in places { body(place / data.batch, place % data.batch) }
        }
    }
}

extension Graph {
    /// The last node that uses each node's result; that of the graph is always kept.
    fileprivate var lastUses: [Int] {
        var uses = [Int](nodes.indices)
        for (index, node) in nodes.enumerated() { for operand in node.operands { uses[operand] = index } }
        uses[nodes.count - 1] = nodes.count
        return uses
    }
}
