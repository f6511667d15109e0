import Networks
import TensorFiles
import VoxelSupport

/// Evaluates a graph on a batch and records how to differentiate it: reverse-mode differentiation.
///
/// Every operation computes its result at once and records a step that turns the gradient of its result into those
/// of its operands and parameters. `differentiate` runs the steps backwards. Griewank, Walther: *Evaluating
/// Derivatives*, chapter 3.
///
/// Sums over pixels and images run in one order whatever the number of threads, so gradients have the same bits on
/// any number of them.
final class GradientTape {
    /// An operation's result, and in the backward pass its gradient.
    final class Value {
        let shape: [Int]
        /// `[batch, tokens, channels...]` rather than `[batch, channels, spatial...]`.
        let isTokens: Bool
        let data: BlockedTensor
        /// Whether it depends on any parameter.
        let wantsGradient: Bool
        fileprivate(set) var gradient: BlockedTensor?

        init(_ data: BlockedTensor, shape: [Int], isTokens: Bool, wantsGradient: Bool) {
            (self.data, self.shape, self.isTokens) = (data, shape, isTokens)
            self.wantsGradient = wantsGradient
        }
    }

    let memory: BufferPool
    let workers: WorkerPool
    let parameters: [String: Tensor]
    private(set) var gradients: [String: [Float]] = [:]
    private var steps: [() throws -> Void] = []
    private let recomputes: Bool
    private var isRecording = true

    /// - Parameter recomputes: whether segments are evaluated again in the backward pass, rather than recorded.
    init(parameters: [String: Tensor], memory: BufferPool, workers: WorkerPool, recomputes: Bool = false) {
        (self.parameters, self.memory, self.workers) = (parameters, memory, workers)
        self.recomputes = recomputes
    }

    /// Evaluates a graph.
    ///
    /// - Throws: `UnsupportedOperation` naming an operation that has no gradient here; what `TimeLimit.check` throws, as
    ///   every pass does between its operations.
    func evaluate(_ graph: Graph, images: [Tensor], shared: [Tensor]) throws -> Value {
        var values = [Value?](repeating: nil, count: graph.nodes.count)
        var segments = graph.segments[...]
        var index = 0
        while index < graph.nodes.count {
            let node = graph.nodes[index]
            switch node.operation {
            case .image(let input): values[index] = self.input(images[input], isTokens: node.isTokens)
            case .shared(let input): values[index] = self.input(shared[input], isTokens: node.isTokens)
            default:
                if let segment = segments.first, segment.nodes.lowerBound == index {
                    segments.removeFirst()
                    index = segment.nodes.upperBound - 1
                    values[index] = try evaluate(segment, of: graph, segment.inputs.compactMap { values[$0] })
                } else {
                    values[index] = try apply(node, to: node.operands.compactMap { values[$0] })
                }
            }
            index += 1
        }
        guard let result = values.last ?? nil else { preconditionFailure("a graph has a result") }
        return result
    }

    /// A value's numbers, in its shape.
    func tensor(_ value: Value) -> Tensor {
        Tensor(shape: value.shape, values: value.data.values(isTokens: value.isTokens))
    }

    /// Runs the recorded steps backwards, from the gradient of the result, and drops them.
    func differentiate(_ result: Value, gradient: Tensor) throws {
        let data = result.data
        result.gradient = BlockedTensor(
            gradient.values, channels: data.channels, batch: data.batch, pixels: data.pixels,
            isTokens: result.isTokens, from: memory)
        try runStepsBackwards()
    }

    private func runStepsBackwards() throws {
        while let step = steps.popLast() {
            try TimeLimit.check()
            try step()
        }
    }

    /// An input: `[batch, channels, ...]`, or `[batch, tokens, channels]`.
    private func input(_ tensor: Tensor, isTokens: Bool) -> Value {
        let shape = tensor.shape
        let channels = isTokens ? shape[shape.count - 1] : shape[1]
        let batch = shape[0]
        let data = BlockedTensor(
            tensor.values, channels: channels, batch: batch, pixels: tensor.count / max(1, batch * channels),
            isTokens: isTokens, from: memory)
        return Value(data, shape: shape, isTokens: isTokens, wantsGradient: false)
    }

    // MARK: Segments

    /// The result of a segment. If segments are recomputed, only their inputs and results are kept.
    private func evaluate(
        _ segment: Graph.Segment, of graph: Graph, _ inputs: [Value]
    ) throws -> Value {
        // In both cases the gradients of an input inside the segment are summed first: the bits are the same.
        guard recomputes else {
            return try run(segment, of: graph, inputs.map { view($0, shape: $0.shape, isTokens: $0.isTokens) })
        }
        isRecording = false
        let result = try run(segment, of: graph, inputs)
        isRecording = true
        return record(
            result.data, shape: result.shape, isTokens: result.isTokens, isLearned: true, from: inputs
        ) { [self] gradient in
            let leaves = inputs.map {
                Value($0.data, shape: $0.shape, isTokens: $0.isTokens, wantsGradient: $0.wantsGradient)
            }
            let others = steps
            steps = []
            try run(segment, of: graph, leaves).gradient = gradient
            try runStepsBackwards()
            steps = others
            for (leaf, input) in zip(leaves, inputs) {
                if let gradient = leaf.gradient { add(gradient, to: input) }
            }
        }
    }

    private func run(
        _ segment: Graph.Segment, of graph: Graph, _ inputs: [Value]
    ) throws -> Value {
        var values = Dictionary(uniqueKeysWithValues: zip(segment.inputs, inputs))
        for index in segment.nodes {
            let node = graph.nodes[index]
            values[index] = try apply(node, to: node.operands.compactMap { values[$0] })
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
        case .silu: result = silu(x)
        case .gelu: result = gelu(x)
        case .attention(let heads):
            result = attention(queries: x, keys: operands[1], values: operands[2], heads: heads)
        case .averagePooled: result = averagePooled(x)
        case .upsampled: result = upsampled(x)
        case .sum: result = sum(x, operands[1])
        case .product: result = product(x, operands[1])
        case .shifted: result = shifted(x, by: operands[1])
        case .modulated:
            // Scales and shifts of single numbers have no backward step.
            result =
                operands[1].shape.count == 2
                ? modulated(x, scale: operands[1], shift: operands[2]) : nil
        case .concatenated(let axis): result = concatenated(operands, axis: axis, shape: node.shape)
        case .slice(let axis, let range): result = slice(x, axis: axis, range, shape: node.shape)
        case .reshaped: result = view(x, shape: node.shape, isTokens: x.isTokens)
        case .transposed:
            result = node.shape.count == 3 ? view(x, shape: node.shape, isTokens: !x.isTokens) : nil
        default: break
        }
        guard let result else {
            throw UnsupportedOperation(node, by: "the gradients", reason: "there are no kernels for it")
        }
        return result
    }

    /// The same numbers under another shape or layout.
    private func view(_ x: Value, shape: [Int], isTokens: Bool) -> Value {
        record(x.data, shape: shape, isTokens: isTokens, from: [x]) { [self] in add($0, to: x) }
    }

    /// The numbers of a parameter.
    func parameter(_ parameter: Parameter) -> Tensor { parameters[parameter] }

    /// Adds to a parameter's gradient.
    func add(_ values: [Float], to parameter: Parameter) {
        guard var sums = gradients.removeValue(forKey: parameter.name) else {
            gradients[parameter.name] = values
            return
        }
        for index in sums.indices { sums[index] += values[index] }
        gradients[parameter.name] = sums
    }

    /// Memory for a result.
    func empty(channels: Int, like data: BlockedTensor, pixels: Int? = nil) -> BlockedTensor {
        BlockedTensor(channels: channels, batch: data.batch, pixels: pixels ?? data.pixels, from: memory)
    }

    /// Records a result and its backward step, which takes the result's gradient; no other needs that afterwards.
    func record(
        _ data: BlockedTensor, shape: [Int], isTokens: Bool, isLearned: Bool = false, from operands: [Value],
        back: @escaping (BlockedTensor) throws -> Void
    ) -> Value {
        let value = Value(
            data, shape: shape, isTokens: isTokens,
            wantsGradient: isRecording && (isLearned || operands.contains(where: \.wantsGradient)))
        guard value.wantsGradient else { return value }
        steps.append {
            guard let gradient = value.gradient else { return }
            value.gradient = nil
            try back(gradient)
        }
        return value
    }

    /// Adds to a value's gradient. The first `gradient` is kept, not copied, so it must not be changed afterwards.
    func add(_ gradient: @autoclosure () -> BlockedTensor, to value: Value) {
        guard value.wantsGradient else { return }
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
