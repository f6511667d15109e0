import Foundation
import Synchronization
import TestSupport
import Testing

@testable import NetworkEngine

/// Work that is split between threads is done once, in whole groups, by workers that share nothing.
struct InferencePoolTests {
    @Test func everyPartIsDoneOnceByAWorkerOfItsOwn() async {
        await checkLaw(cases: 200) { generator in
            let (threads, running) = (generator.size(in: 1...6), generator.size(in: 0...3))
            let (count, group) = (generator.size(in: 0...50), generator.size(in: 1...4))
            let parts = Mutex<[(range: Range<Int>, worker: Int)]>([])
            let pool = WorkerPool(threads: threads)
            nested(running, in: pool) {
                pool.split(count, by: group) { range, worker in parts.withLock { $0.append((range, worker)) } }
            }
            let sorted = parts.withLock { $0 }.sorted { $0.range.lowerBound < $1.range.lowerBound }
            try #require(sorted.flatMap { Array($0.range) } == Array(0..<count))
            try #require(sorted.allSatisfy { $0.range.lowerBound % group == 0 && !$0.range.isEmpty })
            try #require(Set(sorted.map(\.worker)).count == sorted.count)
            try #require(sorted.allSatisfy { (0..<threads).contains($0.worker) })
            // Alone, an evaluation spreads over all threads; among others, over its part.
            let groups = (count + group - 1) / group
            try #require(sorted.count == min(groups, max(1, threads / max(1, running))))
        }
    }

    @Test func callersOnManyThreadsEachGetAllTheirParts() async {
        await withTaskGroup(of: Int.self) { group in
            for caller in 0..<6 {
                group.addTask {
                    let pool = WorkerPool(threads: 1 + caller % 4)
                    let sum = Atomic(0)
                    for round in 0..<300 {
                        pool.split(17) { range, _ in
                            // Now and then a part, or the time to the next one, is longer than threads wait awake.
                            if round % 50 == 7, range.contains(16) { usleep(3000) }
                            sum.wrappingAdd(range.reduce(0, +), ordering: .relaxed)
                        }
                        if round % 60 == 5 { usleep(3000) }
                    }
                    return sum.load(ordering: .relaxed)
                }
            }
            for await sum in group { #expect(sum == 300 * 136) }
        }
    }

    @Test func aPartMaySplitItsOwnWork() {
        let sum = Atomic(0)
        let pool = WorkerPool(threads: 3)
        pool.split(9) { outer, _ in
            pool.split(5) { inner, _ in
                sum.wrappingAdd(outer.count * inner.reduce(0, +), ordering: .relaxed)
            }
        }
        #expect(sum.load(ordering: .relaxed) == 90)
    }

    /// Runs `body` as the last of so many evaluations.
    private func nested(_ running: Int, in pool: WorkerPool, _ body: () -> Void) {
        guard running > 0 else { return body() }
        pool.withShare { nested(running - 1, in: pool, body) }
    }
}
