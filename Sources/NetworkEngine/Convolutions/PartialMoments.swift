import CVoxelKernels

/// Moments of the parts of an image, each computed by one worker.
///
/// They are joined in the order of the parts, so that the sum does not depend on which worker computed which.
struct PartialMoments: Sendable {
    private let parts, blocks: Int
    private let scratch: BufferPlace

    /// The numbers that they take, in whole cache lines.
    static func size(parts: Int, blocks: Int) -> Int {
        let bytes = MemoryLayout<voxel_moments>.stride * blocks * parts
        return Block.count(bytes / MemoryLayout<Float>.stride) * Block.lanes
    }

    /// Moments of nothing yet, in scratch memory.
    init(parts: Int, blocks: Int, in scratch: BufferPlace) {
        (self.parts, self.blocks, self.scratch) = (parts, blocks, scratch)
        UnsafeMutableRawPointer(scratch.start).initializeMemory(
            as: voxel_moments.self, repeating: voxel_moments(), count: parts * blocks)
    }

    /// The moments of a block of a part. The address is valid while the scratch memory is.
    func moments(_ part: Int, _ block: Int) -> UnsafeMutablePointer<voxel_moments> {
        UnsafeMutableRawPointer(scratch.start).assumingMemoryBound(to: voxel_moments.self)
            + (part * blocks + block)
    }

    /// Adds those of all parts to the moments of each block where there are any.
    func join(into moments: [UnsafeMutablePointer<voxel_moments>?]) {
        for (block, moments) in moments.enumerated() {
            guard let moments else { continue }
            for part in 0..<parts { voxel_moments_join(moments, self.moments(part, block)) }
        }
    }
}
