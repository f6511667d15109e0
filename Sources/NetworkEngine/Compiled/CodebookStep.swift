import CVoxelKernels

/// Replaces the channels of each pixel by the nearest entry of a codebook, the first of those equally near.
struct CodebookStep: ProgramStep {
    let source: [BlockReference]
    let codes: PackedCodebook
    let pixels: Int
    let writes: Int
    var reads: Set<Int> { Set(source.map(\.image)) }

    func run(in evaluation: Evaluation) {
        let results = evaluation.places(of: writes)
        evaluation.pool.split(pixels, by: Block.lanes) { range, _ in
            let offset = range.lowerBound * Block.lanes
            let indices = codes.nearest(
                source.map { UnsafePointer(evaluation.block($0) + offset) }, pixels: range.count)
            for (block, place) in results.enumerated() {
                for (pixel, index) in indices.enumerated() {
                    codes.copy(index, block: block, to: place.start + offset + pixel * Block.lanes)
                }
            }
        }
    }
}

/// The entries of a codebook, in blocks of sixteen.
struct PackedCodebook: Sendable {
    private let width, blocks: Int
    /// `[blocks][width][16]`, with infinity after the last entry.
    private let numbers: FloatBuffer

    /// Packs `[entries, width]`.
    init(_ entries: FloatBuffer, count: Int, width: Int) {
        self.width = width
        blocks = Block.count(count)
        numbers = FloatBuffer(uninitialized: blocks * width * Block.lanes)
        for entry in 0..<blocks * Block.lanes {
            for channel in 0..<width {
                numbers.start[place(entry, channel)] =
                    entry < count ? entries.start[entry * width + channel] : .infinity
            }
        }
    }

    private func place(_ entry: Int, _ channel: Int) -> Int {
        (entry / Block.lanes * width + channel) * Block.lanes + entry % Block.lanes
    }

    /// The entry nearest to each pixel of some blocks.
    func nearest(_ source: [UnsafePointer<Float>?], pixels: Int) -> [Int] {
        [Int](unsafeUninitializedCapacity: pixels) { indices, count in
            Block.kernels.nearest(source, width, pixels, numbers.start, blocks, indices.baseAddress)
            count = pixels
        }
    }

    /// Writes sixteen channels of an entry, zeros after the last.
    func copy(_ entry: Int, block: Int, to target: UnsafeMutablePointer<Float>) {
        for lane in 0..<Block.lanes {
            let channel = block * Block.lanes + lane
            target[lane] = channel < width ? numbers.start[place(entry, channel)] : 0
        }
    }
}
