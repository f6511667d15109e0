/// What a sampler follows: a process, the timesteps visited on it, and the solver that moves between them.
///
/// ```swift
/// let published = Scheduler(BrownianBridge(), steps: 50)
/// let palette = Scheduler(GaussianDiffusion(schedule: .cosine), steps: 100, solver: .ancestral)
/// let path = published.path
/// let (t, s) = (published.timesteps[10], published.timesteps[11])
/// let estimate = path.estimate(from: .gradient, at: t)(noisy: x, target: output, source: y)
/// let step = published.step(10)                 // weights of x_t, of the estimate and of y
/// ```
public struct Scheduler: Sendable {
    /// The process.
    public let path: any GaussianPath

    /// The timesteps visited, strictly descending. At the last one the estimate of x_0 is the result.
    public let timesteps: [Int]

    /// The solver.
    public var solver: any Solver

    /// A scheduler that visits `steps` timesteps.
    ///
    /// - Parameters:
    ///   - path: the process.
    ///   - steps: S, the number of timesteps visited; see ``TimestepSpacing`` for the least and the greatest.
    ///   - spacing: how the timesteps lie; nil for the path's default.
    ///   - solver: nil for the path's default.
    public init(
        _ path: some GaussianPath, steps: Int, spacing: TimestepSpacing? = nil, solver: (any Solver)? = nil
    ) {
        self.init(
            path, timesteps: (spacing ?? path.defaultSpacing).timesteps(steps, of: path.trainingTimesteps),
            solver: solver)
    }

    /// A scheduler that visits the given timesteps.
    ///
    /// - Parameters:
    ///   - path: the process.
    ///   - timesteps: at least one, strictly descending, from `0..<path.trainingTimesteps`.
    ///   - solver: nil for the path's default.
    public init(_ path: some GaussianPath, timesteps: [Int], solver: (any Solver)? = nil) {
        precondition(
            !timesteps.isEmpty && zip(timesteps, timesteps.dropFirst()).allSatisfy(>)
                && timesteps[0] < path.trainingTimesteps && timesteps.last! >= 0,
            "the timesteps must descend strictly within 0..<\(path.trainingTimesteps)")
        (self.path, self.timesteps, self.solver) = (path, timesteps, solver ?? path.defaultSolver)
    }

    /// The same process and solver from a timestep on: `t`, then the timesteps visited below it. Sampling can begin
    /// there from a given x_t (SDEdit, arXiv 2108.01073).
    ///
    /// - Parameter t: from `0..<path.trainingTimesteps`.
    public func starting(at t: Int) -> Scheduler {
        Scheduler(path, timesteps: [t] + timesteps.filter { $0 < t }, solver: solver)
    }

    /// The weights of the step from the visited timestep `index` to the next one.
    ///
    /// - Parameter index: from `0..<timesteps.count - 1`.
    public func step(_ index: Int) -> StepWeights {
        solver.step(
            from: timesteps[index], to: timesteps[index + 1],
            after: timesteps[max(0, index - solver.history)..<index].reversed(), on: path)
    }
}
