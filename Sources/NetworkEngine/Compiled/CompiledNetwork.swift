import Networks
import Synchronization
import TensorFiles
import VoxelSupport

/// A network compiled for the processor at hand: evaluates images one at a time.
///
/// ```swift
/// let compiled = try CompiledNetwork(architecture, planned: [160, 160]) { try file.tensor($0.name) }
/// let output = try compiled(images: [x, y], shared: [time, key])
/// ```
///
/// Images are slices, volumes or rows: of one to three spatial axes. Agrees with `PlainEvaluator` to rounding, of which
/// Winograd's form of 3 x 3 and 3 x 3 x 3 convolutions costs a digit. Images lie in blocks of sixteen channels;
/// normalisation, activation, resampling, products and sums are computed by the convolutions
/// beside them; activations share one piece of memory, planned once for each size of image; and what depends on
/// shared inputs alone is computed once for all images that have them in common.
///
/// An image's result has the same bits whatever else is evaluated, on any number of threads. Any number of threads
/// may evaluate at once.
package final class CompiledNetwork: Sendable {
    /// A fingerprint of the weights.
    package let fingerprint: UInt64

    private let network: any Network
    private let weights: LayerWeights
    private let pool: WorkerPool
    /// By spatial extents. A graph of one size says nothing about another: each has its own.
    private let programs = RecentValues<[Int], SizedProgram>(capacity: 4)

    /// Reads the weights of a network and packs them.
    ///
    /// - Parameters:
    ///   - network: the network.
    ///   - size: spatial extents of the images expected. Others work too, as long as their graph has the same
    ///     layers: this only decides which layers get Winograd's form first, where the budget does not suffice.
    ///   - options: the part of the machine that it may use.
    ///   - read: reads a parameter, of the shape it has. May be called by several threads at once.
    /// - Throws: `UnsupportedOperation`, or what `read` throws.
    package init(
        _ network: any Network, planned size: [Int], options: ComputeOptions = ComputeOptions(),
        read: @Sendable (Parameter) throws -> Tensor
    ) throws {
        self.network = network
        let graph = network.graph(batch: 1, size: size)
        try ProgramBuilder.check(graph)
        // Parameters may be read in any order.
        let fingerprints = Mutex<[String: UInt64]>([:])
        weights = try LayerWeights(graph, options: options) { parameter in
            let tensor = try read(parameter)
            var fingerprint = Fingerprint()
            fingerprint.combine(tensor.values)
            let value = fingerprint.value
            fingerprints.withLock { $0[parameter.name] = value }
            return tensor
        }
        fingerprint =
            Fingerprint(of: fingerprints.withLock { $0.sorted { $0.key < $1.key }.map(\.value) }).value
        pool = WorkerPool(threads: options.threads)
        _ = try program(size)
    }

    /// Evaluates the network once.
    ///
    /// - Parameters:
    ///   - images: `[1, channels, spatial...]`, one for each of the network's images.
    ///   - shared: one for each of the network's shared inputs.
    /// - Returns: `[1, channels, spatial...]`.
    /// - Throws: `UnsupportedOperation` where the network cannot be compiled for this size.
    package func callAsFunction(images: [Tensor], shared: [Tensor]) throws -> Tensor {
        let size = Array(images[0].shape[2...])
        let nodes = try program(size).graph.nodes
        var result = Tensor(shape: nodes[nodes.count - 1].shape)
        try result.values.withUnsafeMutableBufferPointer { buffer in
            try evaluate(images: images.map { $0.values[...] }, size: size, shared: shared, into: buffer)
        }
        return result
    }

    /// Evaluates the network once, on images that may be parts of larger arrays.
    ///
    /// - Parameters:
    ///   - images: `[channels, spatial...]` each.
    ///   - size: the spatial extents of the images.
    ///   - inputs: one for each of the network's shared inputs.
    ///   - result: memory for `[channels, spatial...]`.
    /// - Throws: `UnsupportedOperation` where the network cannot be compiled for this size.
    package func evaluate(
        images: [ArraySlice<Float>], size: [Int], shared inputs: [Tensor],
        into result: UnsafeMutableBufferPointer<Float>
    ) throws {
        let sized = try program(size)
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
    func workspaceSize(_ size: [Int]) throws -> Int {
        let plan = try program(size).program.plan
        return (plan.size + plan.scratchSize) * MemoryLayout<Float>.size
    }

    private func program(_ size: [Int]) throws -> SizedProgram {
        try programs.value(of: size) { () throws in
            let graph = network.graph(batch: 1, size: size)
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

    /// Memory above this is returned: volumes are evaluated once for a long time, and by several networks in turn.
    private static let mostKeptNumbers = 1 << 28

    private let free = Mutex<[Workspace]>([])

    init(graph: Graph, program: Program, shared: SharedComputation, workspaces: Int) {
        (self.graph, self.program, self.shared, mostWorkspaces) = (graph, program, shared, workspaces)
    }

    func withWorkspace(_ body: (Workspace) -> Void) {
        let workspace = free.withLock { $0.popLast() } ?? Workspace(program.plan)
        body(workspace)
        guard workspace.numbers.count <= Self.mostKeptNumbers else { return }
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
        // Each worker writes pixels of its own.
        nonisolated(unsafe) let result = result
        evaluation.pool.split(pixels, by: 256) { range, _ in
            for channel in 0..<self.result.channels {
                let block = evaluation.block(self.result.blocks[channel / Block.lanes]) + channel % Block.lanes
                for pixel in range { result[channel * pixels + pixel] = block[pixel * Block.lanes] }
            }
        }
    }
}
