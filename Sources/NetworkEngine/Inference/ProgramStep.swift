import CVoxelKernels

/// One pass over images in the arena.
protocol ProgramStep: Sendable {
    /// The images it reads.
    var reads: Set<Int> { get }
    /// The images whose moments it reads.
    var measures: Set<Int> { get }
    /// The image it writes.
    var writes: Int { get }
    /// Whether it takes the moments of what it writes, where they are wanted.
    var takesMoments: Bool { get }
    /// The numbers it needs room for, with so many threads.
    func scratchSize(threads: Int) -> Int
    /// Does it.
    func run(in evaluation: Evaluation)
}

extension ProgramStep {
    var measures: Set<Int> { [] }
    var takesMoments: Bool { false }
    func scratchSize(threads: Int) -> Int { 0 }
}

/// Where everything is while a network is evaluated once.
struct Evaluation {
    let plan: ArenaPlan
    let workspace: Workspace
    let images: [UnsafePointer<Float>]
    let shared: SharedValues
    let pool: WorkerPool

    /// The numbers that a step may use as it likes.
    var scratch: UnsafeMutablePointer<Float> { workspace.numbers.start + plan.size }

    /// A block of an image: `[pixels][16]`.
    func block(_ reference: BlockReference) -> UnsafeMutablePointer<Float> {
        let image = plan.images[reference.image]
        return workspace.numbers.start + plan.offsets[reference.image] + reference.block * image.pixels * lanes
    }

    /// All blocks of an image.
    func blocks(of image: Int) -> [UnsafeMutablePointer<Float>] {
        (0..<plan.images[image].blocks).map { block(BlockReference(image: image, block: $0)) }
    }

    /// The moments of a block, or nil where nobody wants them.
    func moments(_ reference: BlockReference) -> UnsafeMutablePointer<voxel_moments>? {
        plan.momentOffsets[reference.image].map { workspace.moments + $0 + reference.block }
    }

    /// The moments of a block that is about to be written: of nothing.
    func freshMoments(_ reference: BlockReference) -> UnsafeMutablePointer<voxel_moments>? {
        let moments = moments(reference)
        moments?.pointee = voxel_moments()
        return moments
    }
}

/// The kernels for this machine: a table that never changes.
nonisolated(unsafe) let kernels: voxel_kernels = voxel_kernels_here().pointee

/// The memory of one evaluation.
final class Workspace: @unchecked Sendable {
    let numbers: FloatBuffer
    let moments: UnsafeMutablePointer<voxel_moments>

    init(_ plan: ArenaPlan) {
        numbers = FloatBuffer(uninitialized: plan.size + plan.scratchSize)
        moments = .allocate(capacity: max(1, plan.momentCount))
    }

    deinit { moments.deallocate() }
}
