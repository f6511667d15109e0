import Synchronization
import Testing
import VoxelSupport

struct ConcurrentWorkTests {
    @Test(arguments: [0, 1, 2, 7, 1000], [1, 2, 3, .max])
    func eachIndexIsVisitedOnceAndResultsAreInOrder(count: Int, threads: Int) {
        let visits = Mutex([Int](repeating: 0, count: count))
        let results = concurrentMap(count, threads: threads) { index in
            visits.withLock { $0[index] += 1 }
            return 3 * index
        }
        #expect(results == (0..<count).map { 3 * $0 })
        #expect(visits.withLock { $0.allSatisfy { $0 == 1 } })
    }

    @Test(arguments: [0, 1, 63, 64, 65, 1000]) func runsCoverTheRange(count: Int) {
        let runs = Mutex<[Range<Int>]>([])
        concurrentRuns(of: count, by: 64) { run in runs.withLock { $0.append(run) } }
        let sorted = runs.withLock { $0.sorted { $0.lowerBound < $1.lowerBound } }
        #expect(sorted.flatMap(Array.init) == Array(0..<count))
        #expect(sorted.dropLast().allSatisfy { $0.count == 64 })
    }

    @Test func theFirstErrorInOrderIsThrown() {
        struct Failure: Error, Equatable { let index: Int }
        #expect(throws: Failure(index: 3)) {
            try concurrentMap(100) { index throws(Failure) in
                if index >= 3 { throw Failure(index: index) }
                return index
            }
        }
    }
}
