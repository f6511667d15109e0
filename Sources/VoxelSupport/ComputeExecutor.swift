import Dispatch

/// Runs long computations on threads of their own, so that they do not block the few threads of Swift's cooperative pool,
/// on which all other tasks of a process depend.
///
/// ```swift
/// let output = try await withTaskExecutorPreference(executor) { try network(input) }
/// ```
///
/// The computation stays part of its task: it sees its cancellation.
package final class ComputeExecutor: TaskExecutor {
    private let queue = DispatchQueue(label: "voxelbridge.compute", attributes: .concurrent)

    package init() {}

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
