import Dispatch
import Foundation
import Testing
import VoxelSupport

/// Long computations leave Swift's cooperative pool to other tasks.
struct ComputeExecutorTests {
    /// Waits for a signal on the thread that calls it; false where none comes.
    private static func isReleased(_ semaphore: DispatchSemaphore) -> Bool {
        semaphore.wait(timeout: .now() + .seconds(60)) == .success
    }

    @Test func computationsDoNotBlockTheCooperativePool() async {
        // More than the pool has threads: on these, all of them would wait and nobody would be left to signal.
        let count = ProcessInfo.processInfo.activeProcessorCount + 2
        let executor = ComputeExecutor()
        let semaphore = DispatchSemaphore(value: 0)
        let released = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<count {
                group.addTask {
                    await withTaskExecutorPreference(executor) { Self.isReleased(semaphore) }
                }
            }
            // Another task, which needs the pool.
            await Task {
                try? await Task.sleep(for: .milliseconds(50))
                for _ in 0..<count { semaphore.signal() }
            }.value
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(released == count)
    }

    @Test func aComputationSeesTheCancellationOfItsTask() async {
        let executor = ComputeExecutor()
        let task = Task {
            try await withTaskExecutorPreference(executor) {
                while true { try Task.checkCancellation() }
            }
        }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}
