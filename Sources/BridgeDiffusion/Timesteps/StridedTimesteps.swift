public import Foundation

extension Scheduler {
    /// The timesteps of latent diffusion's public code (DDIM, arXiv 2010.02502, and arXiv 2112.10752), descending: 1 + c j
    /// up to T, where c is T / S rounded down.
    ///
    /// There may be more of them than S: 300 of 1000 give 334. Where c divides T - 1 the first is T, which no process
    /// has: see ``strided(_:steps:solver:)``.
    public static func stridedTimesteps(_ steps: Int, of trainingTimesteps: Int) -> [Int] {
        stride(from: 1, through: trainingTimesteps, by: max(1, trainingTimesteps / max(1, steps))).reversed()
    }

    /// A scheduler that steps as latent diffusion's public code: over ``stridedTimesteps(_:of:)``, and at the end to t = 0.
    ///
    /// - Parameters:
    ///   - path: the process.
    ///   - steps: S, from 1 to T / 2.
    ///   - solver: nil for the path's default.
    /// - Throws: ``StridedTimestepsError`` where S is out of range, or the timesteps begin with T.
    public static func strided(
        _ path: some GaussianPath, steps: Int, solver: (any Solver)? = nil
    ) throws(StridedTimestepsError) -> Scheduler {
        let all = path.trainingTimesteps
        guard steps >= 1, steps <= all / 2, stridedTimesteps(steps, of: all)[0] < all else {
            throw StridedTimestepsError(steps: steps, trainingTimesteps: all)
        }
        return Scheduler(path, timesteps: stridedTimesteps(steps, of: all), arrival: 0, solver: solver)
    }
}

/// A number of steps that latent diffusion's rule cannot take.
public struct StridedTimestepsError: LocalizedError, Equatable, CustomStringConvertible {
    /// S, as it was asked for.
    public let steps: Int
    /// T.
    public let trainingTimesteps: Int

    /// The nearest numbers of steps below and above that can be taken.
    public var choices: [Int] {
        func isPossible(_ count: Int) -> Bool {
            Scheduler.stridedTimesteps(count, of: trainingTimesteps)[0] < trainingTimesteps
        }
        let all = 1...max(1, trainingTimesteps / 2)
        return [
            all.last { $0 < steps && isPossible($0) }, all.first { $0 > steps && isPossible($0) },
        ].compactMap(\.self)
    }

    /// What was found and what was expected.
    public var description: String {
        guard trainingTimesteps > 1 else {
            return "\(steps) steps: a process of one timestep cannot be strided"
        }
        let choices = choices.map(String.init).joined(separator: " or ")
        guard steps >= 1, steps <= trainingTimesteps / 2 else {
            return "\(steps) steps: expected 1 to \(trainingTimesteps / 2); choose \(choices)"
        }
        let visited = Scheduler.stridedTimesteps(steps, of: trainingTimesteps)
        return """
            \(steps) steps visit \(visited.count) timesteps from 1 to \(visited[0]), but the process has 0 to \
            \(trainingTimesteps - 1); choose \(choices)
            """
    }

    /// The same as ``description``.
    public var errorDescription: String? { description }
}
