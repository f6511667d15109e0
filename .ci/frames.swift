// A program whose frame Swift 6.3 makes too small: the function that calls `twoBlocks` keeps a value of 32 bytes' alignment
// while it waits. `.ci/sanitize` runs it to see that .ci/frames.c notices.
struct Block: Sendable {
    var extent = (0.0, 0.0, 0.0)
    var numbers: [Float] = [1, 2]
    var position = SIMD3<Double>(1, 2, 3)
}

struct EndOfBlocks: Error {}

struct Blocks {
    let limits: [Int]
    var count = 0

    mutating func next() async throws -> Block? {
        await Task.yield()
        count += 1
        if count > 5 { throw EndOfBlocks() }
        return count < 4 ? Block() : nil
    }
}

func blocks(_ limits: [Int]) throws -> Blocks {
    if limits.count > 1000 { throw EndOfBlocks() }
    return Blocks(limits: limits)
}

@inline(never) func twoBlocks(_ limit: Int) async throws -> (Block, [Int]) {
    let limits = Array(0..<limit)
    var blocks = try blocks(limits)
    _ = try await blocks.next()
    guard let block = try await blocks.next() else { throw EndOfBlocks() }
    return (block, limits)
}

@main struct Program {
    static func main() async throws {
        for limit in 0..<100 {
            let (block, limits) = try await twoBlocks(limit)
            if block.numbers.count + limits.count == 0 { print(block) }
        }
    }
}
