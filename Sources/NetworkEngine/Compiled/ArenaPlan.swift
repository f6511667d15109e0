/// Where each image of a program lies, so that those that are never needed at the same time share memory.
struct ArenaPlan: Sendable {
    /// The size of an image in the arena.
    struct Image: Sendable {
        let channels, pixels: Int
        var blocks: Int { Block.count(channels) }
        var size: Int { blocks * pixels * Block.lanes }
    }

    let images: [Image]
    /// Where each image begins, in numbers.
    let offsets: [Int]
    /// The numbers that all images take, and those of the most demanding step's own.
    let size, scratchSize: Int
    /// Where the moments of each image are, for those that are normalised.
    let momentOffsets: [Int?]
    let momentCount: Int

    /// Lays the images out in the order in which they are written, each in the lowest gap that is free for as
    /// long as it is needed, or where the image lies that its step replaces.
    ///
    /// - Parameter results: the images that are needed after the last step.
    init(images: [Image], steps: [any ProgramStep], results: Set<Int>, threads: Int) {
        var written = [Int](repeating: steps.count, count: images.count)
        var lastRead = [Int](repeating: 0, count: images.count)
        for (index, step) in steps.enumerated() {
            written[step.writes] = min(written[step.writes], index)
            for image in step.reads.union([step.writes]) { lastRead[image] = index }
        }
        for image in results { lastRead[image] = steps.count }

        var offsets = [Int](repeating: 0, count: images.count)
        var placed: [Int] = []
        for image in images.indices.sorted(by: { written[$0] < written[$1] }) where written[image] < steps.count
        {
            defer { placed.append(image) }
            let step = steps[written[image]]
            if let old = step.replaces, lastRead[old] == written[image],
                images[old].size == images[image].size
            {
                offsets[image] = offsets[old]
                continue
            }
            let neighbours = placed.filter { lastRead[$0] >= written[image] && written[$0] <= lastRead[image] }
            var begin = 0
            for other in neighbours.sorted(by: { offsets[$0] < offsets[$1] }) {
                if offsets[other] >= begin + images[image].size { break }
                begin = max(begin, offsets[other] + images[other].size)
            }
            offsets[image] = begin
        }
        self.images = images
        self.offsets = offsets
        size = placed.map { offsets[$0] + images[$0].size }.max() ?? 0
        scratchSize = steps.map { $0.scratchSize(threads: threads) }.max() ?? 0

        let measured = steps.reduce(into: Set<Int>()) { $0.formUnion($1.measures) }
        var momentOffsets = [Int?](repeating: nil, count: images.count)
        var count = 0
        for image in measured.sorted() {
            momentOffsets[image] = count
            count += images[image].blocks
        }
        (self.momentOffsets, momentCount) = (momentOffsets, count)
    }
}
