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
/// Agrees with `PlainEvaluator` to rounding, of which Winograd's form of 3 x 3 convolutions costs a digit. Images
/// lie in blocks of sixteen channels; normalisation, SiLU, resampling and sums are computed by the convolutions
/// beside them; activations share one piece of memory, planned once for each size of image; and what depends on
/// shared inputs alone is computed once for all images that have them in common.
///
/// An image's result has the same bits whatever else is evaluated, on any number of threads. Any number of threads
/// may evaluate at once.
package final class CompiledNetwork: Sendable {
    private let network: any Network
    private let weights: LayerWeights
    private let pool: WorkerPool
    /// By rows and columns. A graph of one size says nothing about another: each has its own.
    private let programs = RecentValues<[Int], SizedProgram>(capacity: 4)

    /// Reads the weights of a network and packs them.
    ///
    /// - Parameters:
    ///   - network: the network.
    ///   - size: rows and columns of the images expected. Others work too, as long as their graph has the same
    ///     layers: this only decides which layers get Winograd's form first, where the budget does not suffice.
    ///   - options: the part of the machine that it may use.
    ///   - read: reads a parameter, of the shape it has. May be called by several threads at once.
    /// - Throws: `UnsupportedOperation`, or what `read` throws.
    package init(
        _ network: any Network, planned size: (rows: Int, columns: Int),
        options: ComputeOptions = ComputeOptions(), read: @Sendable (Parameter) throws -> Tensor
    ) throws {
        self.network = network
        let graph = network.graph(batch: 1, size: [size.rows, size.columns])
        try ProgramBuilder.check(graph)
        weights = try LayerWeights(graph, options: options, read: read)
        pool = WorkerPool(threads: options.threads)
        _ = try program(rows: size.rows, columns: size.columns)
    }

    /// Evaluates the network once.
    ///
    /// - Parameters:
    ///   - images: `[1, channels, rows, columns]`, one for each of the network's images.
    ///   - shared: one for each of the network's shared inputs.
    /// - Returns: `[1, channels, rows, columns]`.
    /// - Throws: `UnsupportedOperation` where the network cannot be compiled for this size.
    package func callAsFunction(images: [Tensor], shared: [Tensor]) throws -> Tensor {
        let (rows, columns) = (images[0].shape[2], images[0].shape[3])
        let program = try program(rows: rows, columns: columns).program
        let size = program.result.size
        var result = Tensor(shape: [1, program.result.channels, size.rows, size.columns])
        try result.values.withUnsafeMutableBufferPointer { buffer in
            try evaluate(
                images: images.map { $0.values[...] }, rows: rows, columns: columns, shared: shared,
                into: buffer)
        }
        return result
    }

    /// Evaluates the network once, on images that may be parts of larger arrays.
    ///
    /// - Parameters:
    ///   - images: `[channels, rows, columns]` each.
    ///   - rows: rows of each image.
    ///   - columns: columns of each image.
    ///   - inputs: one for each of the network's shared inputs.
    ///   - result: memory for `[channels, rows, columns]`.
    /// - Throws: `UnsupportedOperation` where the network cannot be compiled for this size.
    package func evaluate(
        images: [ArraySlice<Float>], rows: Int, columns: Int, shared inputs: [Tensor],
        into result: UnsafeMutableBufferPointer<Float>
    ) throws {
        let sized = try program(rows: rows, columns: columns)
        let (program, graph) = (sized.program, sized.graph)
        precondition(
            images.map(\.count) == graph.imageShapes.map { $0.reduce(1, *) },
            "images of \(images.map(\.count)) numbers are not those of \(graph.imageShapes)")
        precondition(
            inputs.map(\.shape) == graph.sharedShapes,
            "shared inputs \(inputs.map(\.shape)) are not of shapes \(graph.sharedShapes)")
        let values = try sized.shared.values(of: inputs)
        sized.withWorkspace { workspace in
            pool.withShare {
                program.run(
                    Evaluation(
                        plan: program.plan, workspace: workspace, images: images, shared: values, pool: pool),
                    into: result)
            }
        }
    }

    /// The bytes of memory that one evaluation of this size takes for itself.
    func workspaceSize(rows: Int, columns: Int) throws -> Int {
        let plan = try program(rows: rows, columns: columns).program.plan
        return (plan.size + plan.scratchSize) * MemoryLayout<Float>.size
    }

    private func program(rows: Int, columns: Int) throws -> SizedProgram {
        try programs.value(of: [rows, columns]) { () throws in
            let graph = network.graph(batch: 1, size: [rows, columns])
            return SizedProgram(
                graph: graph,
                program: try ProgramBuilder.program(graph, weights: weights, threads: pool.threads),
                shared: SharedComputation(graph, parameters: weights.shared), workspaces: pool.threads)
        }
    }
}

/// A program for one size of image, and the memory of evaluations that have ended, for the next ones.
private final class SizedProgram: Sendable {
    let graph: Graph
    let program: Program
    let shared: SharedComputation
    private let mostWorkspaces: Int
    private let free = Mutex<[Workspace]>([])

    init(graph: Graph, program: Program, shared: SharedComputation, workspaces: Int) {
        (self.graph, self.program, self.shared, mostWorkspaces) = (graph, program, shared, workspaces)
    }

    func withWorkspace(_ body: (Workspace) -> Void) {
        let workspace = free.withLock { $0.popLast() } ?? Workspace(program.plan)
        body(workspace)
        free.withLock { if $0.count < mostWorkspaces { $0.append(workspace) } }
    }
}

/// Passes in order, where their images are, and which of them is the result.
struct Program: Sendable {
    let steps: [any ProgramStep]
    let plan: ArenaPlan
    let result: ImageExpression

    fileprivate func run(_ evaluation: Evaluation, into result: UnsafeMutableBufferPointer<Float>) {
        for step in steps { step.run(in: evaluation) }
        let pixels = self.result.pixels
        precondition(result.count == self.result.channels * pixels, "the result has another size")
        for channel in 0..<self.result.channels {
            let block = evaluation.block(self.result.blocks[channel / Block.lanes]) + channel % Block.lanes
            for pixel in 0..<pixels { result[channel * pixels + pixel] = block[pixel * Block.lanes] }
        }
    }
}
