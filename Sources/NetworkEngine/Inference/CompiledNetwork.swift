import Networks
import Synchronization
import TensorFiles

/// A network compiled for the processor at hand: evaluates images one at a time, as fast as it can.
///
/// ```swift
/// let compiled = try CompiledNetwork(architecture, planned: (160, 160)) { try file.tensor($0.name) }
/// let output = try compiled(images: [x, y], shared: [time, key])
/// ```
///
/// Agrees with `TensorArithmetic` to rounding, in which Winograd's form of 3 x 3 convolutions costs a digit. Images
/// lie in blocks of sixteen channels; normalisation, SiLU, resampling and sums are done by the convolutions that
/// stand beside them; activations share one piece of memory, planned once for each size of image; and what depends
/// on shared inputs alone is computed once for all images that have them in common.
///
/// An image's result has the same bits whatever else is evaluated, on any number of threads. Any number of threads
/// may evaluate at once.
public final class CompiledNetwork: Sendable {
    private let network: any CompilableNetwork
    private let weights: LayerWeights
    private let shared: SharedComputation
    private let pool: WorkerPool
    private let programs = Mutex<[[Int]: SizedProgram]>([:])

    /// Reads the weights of a network and packs them.
    ///
    /// - Parameters:
    ///   - network: the network.
    ///   - size: rows and columns of the images expected. Others work too; this only decides which layers get
    ///     Winograd's form first, where the budget does not reach for all.
    ///   - options: how much of the machine it may take.
    ///   - read: reads a parameter, of the shape it has. May be called by several threads at once.
    /// - Throws: `CompilationError`, or what `read` throws.
    public init(
        _ network: any CompilableNetwork, planned size: (rows: Int, columns: Int),
        options: ComputeOptions = ComputeOptions(), read: @Sendable (Parameter) throws -> Tensor
    ) throws {
        self.network = network
        let nodes = Self.record(network, rows: size.rows, columns: size.columns)
        weights = try LayerWeights(nodes, options: options, read: read)
        shared = SharedComputation(nodes, parameters: weights.shared)
        pool = WorkerPool(threads: options.threads)
        _ = try program(rows: size.rows, columns: size.columns)
    }

    /// Evaluates the network once.
    ///
    /// - Parameters:
    ///   - images: `[1, channels, rows, columns]`, one for each of the network's images.
    ///   - shared: one for each of the network's shared inputs.
    /// - Returns: `[1, channels, rows, columns]`.
    /// - Throws: `CompilationError` where the network cannot be compiled for this size.
    public func callAsFunction(images: [Tensor], shared: [Tensor]) throws -> Tensor {
        let (rows, columns) = (images[0].shape[2], images[0].shape[3])
        let program = try program(rows: rows, columns: columns).program
        let size = program.result.size
        var error: (any Error)?
        let result = Tensor(shape: [1, program.result.channels, size.rows, size.columns]) { buffer in
            do {
                try evaluate(
                    images: images.map { $0.values[...] }, rows: rows, columns: columns, shared: shared,
                    into: buffer)
            } catch let failure { error = failure }
        }
        if let error { throw error }
        return result
    }

    /// Evaluates the network once, on images wherever they lie.
    ///
    /// - Parameters:
    ///   - images: `[channels, rows, columns]` each.
    ///   - rows: rows of each image.
    ///   - columns: columns of each image.
    ///   - inputs: one for each of the network's shared inputs.
    ///   - result: room for `[channels, rows, columns]`.
    /// - Throws: `CompilationError` where the network cannot be compiled for this size.
    public func evaluate(
        images: [ArraySlice<Float>], rows: Int, columns: Int, shared inputs: [Tensor],
        into result: UnsafeMutableBufferPointer<Float>
    ) throws {
        let sized = try program(rows: rows, columns: columns)
        precondition(
            images.map(\.count) == network.imageChannels.map { $0 * rows * columns },
            "images of \(images.map(\.count)) numbers are not \(network.imageChannels) of \(rows) x \(columns)")
        precondition(
            inputs.map(\.shape) == network.sharedShapes,
            "shared inputs \(inputs.map(\.shape)) are not of shapes \(network.sharedShapes)")
        let values = shared.values(of: inputs)
        sized.withWorkspace { workspace in
            withPointers(to: images[...]) { images in
                pool.withShare {
                    sized.program.run(
                        Evaluation(
                            plan: sized.program.plan, workspace: workspace, images: images, shared: values,
                            pool: pool),
                        into: result)
                }
            }
        }
    }

    /// The bytes of memory that one evaluation of this size takes for itself.
    public func workspaceSize(rows: Int, columns: Int) throws -> Int {
        let plan = try program(rows: rows, columns: columns).program.plan
        return (plan.size + plan.scratchSize) * MemoryLayout<Float>.size
    }

    private func program(rows: Int, columns: Int) throws -> SizedProgram {
        if let known = programs.withLock({ $0[[rows, columns]] }) { return known }
        let nodes = Self.record(network, rows: rows, columns: columns)
        let program = SizedProgram(
            program: try ProgramBuilder.program(nodes, weights: weights, threads: pool.threads))
        return programs.withLock { programs in
            // Another thread may have been faster.
            let program = programs[[rows, columns]] ?? program
            programs[[rows, columns]] = program
            return program
        }
    }

    private static func record(
        _ network: any CompilableNetwork, rows: Int, columns: Int
    ) -> [NetworkRecorder.Node] {
        let recorder = NetworkRecorder()
        let images = network.imageChannels.enumerated().map { index, channels in
            recorder.image(index, shape: [1, channels, rows, columns])
        }
        let shared = network.sharedShapes.enumerated().map { recorder.shared($0, shape: $1) }
        let result = network(images: images, shared: shared, with: recorder)
        return Array(recorder.nodes[...result.index])
    }
}

/// A program for one size of image, and the memory of evaluations that are over, for the next ones.
private final class SizedProgram: Sendable {
    let program: Program
    private let free = Mutex<[Workspace]>([])

    init(program: Program) { self.program = program }

    func withWorkspace(_ body: (Workspace) -> Void) {
        let workspace = free.withLock { $0.popLast() } ?? Workspace(program.plan)
        body(workspace)
        free.withLock { $0.append(workspace) }
    }
}

extension Program {
    fileprivate func run(_ evaluation: Evaluation, into result: UnsafeMutableBufferPointer<Float>) {
        for step in steps { step.run(in: evaluation) }
        let pixels = self.result.pixels
        precondition(result.count == self.result.channels * pixels, "the result has another size")
        for channel in 0..<self.result.channels {
            let block = evaluation.block(self.result.blocks[channel / lanes]) + channel % lanes
            for pixel in 0..<pixels { result[channel * pixels + pixel] = block[pixel * lanes] }
        }
    }
}

/// Calls `body` with where each slice's numbers are.
private func withPointers(
    to slices: ArraySlice<ArraySlice<Float>>, _ known: [UnsafePointer<Float>] = [],
    _ body: ([UnsafePointer<Float>]) -> Void
) {
    guard let first = slices.first else { return body(known) }
    first.withUnsafeBufferPointer { buffer in
        guard let start = buffer.baseAddress else { preconditionFailure("an image is empty") }
        withPointers(to: slices.dropFirst(), known + [start], body)
    }
}
