import Networks
import TensorFiles

/// Evaluates layers on a batch, and remembers how to go back: reverse-mode differentiation.
///
/// Every operation computes its result at once and records a step that turns the gradient of its result into those
/// of its operands and parameters. `differentiate` runs the steps backwards. Griewank, Walther: *Evaluating
/// Derivatives*, chapter 3.
///
/// Sums over pixels and images run in one order whatever the number of threads, so gradients have the same bits on
/// any number of them.
final class GradientTape: LayerArithmetic {
    /// What an operation gave, and in time its gradient.
    final class Value {
        let shape: [Int]
        /// `[batch, pixels, channels...]` rather than `[batch, channels, pixels...]`.
        let isTokens: Bool
        let data: BlockedTensor
        /// Whether anything that is learned lies behind it.
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
    private var steps: [() -> Void] = []
    private let recomputes: Bool
    private var isWithinSegment = false
    private var isRecording = true

    /// - Parameter recomputes: whether segments are evaluated again rather than remembered.
    init(parameters: [String: Tensor], memory: BufferPool, workers: WorkerPool, recomputes: Bool = false) {
        (self.parameters, self.memory, self.workers) = (parameters, memory, workers)
        self.recomputes = recomputes
    }

    /// An input: `[batch, channels, ...]`, or `[batch, tokens, channels]`.
    func input(_ tensor: Tensor, isTokens: Bool) -> Value {
        let shape = tensor.shape
        let channels = isTokens ? shape[shape.count - 1] : shape[1]
        let batch = shape[0]
        let data = BlockedTensor(
            tensor.values, channels: channels, batch: batch, pixels: tensor.count / max(1, batch * channels),
            isTokens: isTokens, from: memory)
        return Value(data, shape: shape, isTokens: isTokens, wantsGradient: false)
    }

    /// A value's numbers, in its shape.
    func tensor(_ value: Value) -> Tensor {
        Tensor(shape: value.shape, values: value.data.values(isTokens: value.isTokens))
    }

    /// Goes back through everything, from the gradient of the last result. What was remembered is gone then.
    func differentiate(_ result: Value, gradient: Tensor) {
        let data = result.data
        result.gradient = BlockedTensor(
            gradient.values, channels: data.channels, batch: data.batch, pixels: data.pixels,
            isTokens: result.isTokens, from: memory)
        goBack()
    }

    private func goBack() {
        while let step = steps.popLast() { step() }
    }

    /// A part of the network of which only inputs and result are kept, where that is asked for.
    func segment(_ inputs: [Value], _ body: @escaping ([Value]) -> Value) -> Value {
        // Either way what reaches an input from inside is added up first, so the gradients have the same bits.
        guard recomputes, !isWithinSegment else {
            return body(inputs.map { view($0, shape: $0.shape, isTokens: $0.isTokens) })
        }
        isWithinSegment = true
        isRecording = false
        let result = body(inputs)
        isRecording = true
        isWithinSegment = false
        return record(
            result.data, shape: result.shape, isTokens: result.isTokens, isLearned: true, from: inputs
        ) { [self] gradient in
            let leaves = inputs.map {
                Value($0.data, shape: $0.shape, isTokens: $0.isTokens, wantsGradient: $0.wantsGradient)
            }
            let others = steps
            steps = []
            isWithinSegment = true
            body(leaves).gradient = gradient
            goBack()
            isWithinSegment = false
            steps = others
            for (leaf, input) in zip(leaves, inputs) {
                if let gradient = leaf.gradient { add(gradient, to: input) }
            }
        }
    }

    func shape(of x: Value) -> [Int] { x.shape }

    // MARK: What operations are written in

    func parameter(_ parameter: Parameter) -> Tensor {
        guard let tensor = parameters[parameter.name] else {
            preconditionFailure("there is no parameter \(parameter.name)")
        }
        return tensor
    }

    /// Adds to a parameter's gradient.
    func add(_ values: [Float], to parameter: Parameter) {
        guard var sums = gradients.removeValue(forKey: parameter.name) else {
            gradients[parameter.name] = values
            return
        }
        for index in sums.indices { sums[index] += values[index] }
        gradients[parameter.name] = sums
    }

    /// Room for a result.
    func room(channels: Int, like data: BlockedTensor, pixels: Int? = nil) -> BlockedTensor {
        BlockedTensor(channels: channels, batch: data.batch, pixels: pixels ?? data.pixels, from: memory)
    }

    /// Records a result and how to go back from its gradient, which nobody needs afterwards.
    func record(
        _ data: BlockedTensor, shape: [Int], isTokens: Bool, isLearned: Bool = false, from operands: [Value],
        back: @escaping (BlockedTensor) -> Void
    ) -> Value {
        let value = Value(
            data, shape: shape, isTokens: isTokens,
            wantsGradient: isRecording && (isLearned || operands.contains(where: \.wantsGradient)))
        guard value.wantsGradient else { return value }
        steps.append {
            guard let gradient = value.gradient else { return }
            value.gradient = nil
            back(gradient)
        }
        return value
    }

    /// Adds to a value's gradient. `gradient` is kept where it is the first, so it must not be changed by others:
    /// whoever adds to it later makes a copy unless it is the only one who knows it.
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
        let result = room(channels: a.channels, like: a)
        forEachRun(of: a) { block, pixels in
            let offset = pixels.lowerBound * lanes
            (result.block(block) + offset).update(from: a.block(block) + offset, count: pixels.count * lanes)
            kernels.add(result.block(block) + offset, b.block(block) + offset, nil, pixels.count)
        }
        return result
    }

    /// Calls `body` for each block with the pixels of the whole batch, in runs that threads share.
    func forEachRun(of data: BlockedTensor, _ body: (_ block: Int, _ pixels: Range<Int>) -> Void) {
        workers.split(data.batchPixels, by: lanes) { pixels, _ in
            for block in 0..<data.blockCount { body(block, pixels) }
        }
    }

    /// Calls `body` for each block of each image, which threads share.
    func forEachImage(of data: BlockedTensor, _ body: (_ block: Int, _ item: Int) -> Void) {
        workers.split(data.blockCount * data.batch) { places, _ in
            for place in places { body(place / data.batch, place % data.batch) }
        }
    }
}
