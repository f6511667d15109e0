import CVoxelKernels

/// One pass over images in the arena.
protocol ProgramStep: Sendable {
    /// The images it reads.
    var reads: Set<Int> { get }
    /// The images whose moments it reads.
    var measures: Set<Int> { get }
    /// The image it writes.
    var writes: Int { get }
    /// An image that it reads which may lie where its own does, if no later step reads it.
    var replaces: Int? { get }
    /// Whether it computes the moments of its image, if a later step reads them.
    var computesMoments: Bool { get }
    /// The numbers of scratch memory that it uses with this number of threads.
    func scratchSize(threads: Int) -> Int
    /// Writes the image.
    func run(in evaluation: Evaluation)
}

extension ProgramStep {
    var measures: Set<Int> { [] }
    var replaces: Int? { nil }
    var computesMoments: Bool { false }
    func scratchSize(threads: Int) -> Int { 0 }
}

/// Where everything is while a network is evaluated once.
struct Evaluation: Sendable {
    let plan: ArenaPlan
    let workspace: Workspace
    /// `[channels][pixels]` of each image.
    let images: [ArraySlice<Float>]
    let shared: SharedValues
    let pool: WorkerPool

    /// Memory for the step that runs.
    var scratch: BufferPlace { BufferPlace(buffer: workspace.numbers, offset: plan.size) }

    /// A block of an image: `[pixels][16]`. The address is valid while the evaluation is.
    func block(_ reference: BlockReference) -> UnsafeMutablePointer<Float> { place(reference).start }

    /// Where a block of an image is.
    func place(_ reference: BlockReference) -> BufferPlace {
        let image = plan.images[reference.image]
        return BufferPlace(
            buffer: workspace.numbers,
            offset: plan.offsets[reference.image] + reference.block * image.pixels * Block.lanes)
    }

    /// All blocks of an image.
    func places(of image: Int) -> [BufferPlace] {
        (0..<plan.images[image].blocks).map { place(BlockReference(image: image, block: $0)) }
    }

    /// The moments of a block, or nil where no step reads them. The address is valid while the evaluation is.
    func moments(_ reference: BlockReference) -> UnsafeMutablePointer<voxel_moments>? {
        plan.momentOffsets[reference.image].map { workspace.moments + $0 + reference.block }
    }

    /// Clears the moments of an image that is about to be written.
    func clearMoments(of image: Int) {
        for block in 0..<plan.images[image].blocks {
            moments(BlockReference(image: image, block: block))?.pointee = voxel_moments()
        }
    }
}

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
