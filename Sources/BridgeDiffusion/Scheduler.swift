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

    /// The timesteps visited, strictly descending. At the last one the estimate of x_0 is the result, unless there is an
    /// ``arrival``.
    public let timesteps: [Int]

    /// A timestep below the last one visited. Where it is set, one more step leads there, and x_t there is the result:
    /// latent diffusion's public code ends that way, at t = 0, whose x_t still has a little noise.
    public let arrival: Int?

    /// The solver.
    public var solver: any Solver

    /// A scheduler that visits `steps` timesteps.
    ///
    /// - Parameters:
    ///   - path: the process.
    ///   - steps: S, the number of timesteps visited; see ``TimestepSpacing`` for the least and the greatest. A path of
    ///     one timestep (``DirectMapping``) is visited there, whatever S is.
    ///   - spacing: how the timesteps lie; nil for the path's default.
    ///   - solver: nil for the path's default.
    public init(
        _ path: some GaussianPath, steps: Int, spacing: TimestepSpacing? = nil, solver: (any Solver)? = nil
    ) {
        let all = path.trainingTimesteps
        self.init(
            path, timesteps: all == 1 ? [0] : (spacing ?? path.defaultSpacing).timesteps(steps, of: all),
            solver: solver)
    }

    /// A scheduler that visits the given timesteps.
    ///
    /// - Parameters:
    ///   - path: the process.
    ///   - timesteps: at least one, strictly descending, from `0..<path.trainingTimesteps`.
    ///   - arrival: a timestep below the last of them to step to at the end; nil to end at the last estimate of x_0.
    ///   - solver: nil for the path's default.
    public init(
        _ path: some GaussianPath, timesteps: [Int], arrival: Int? = nil, solver: (any Solver)? = nil
    ) {
        precondition(
            !timesteps.isEmpty && zip(timesteps, timesteps.dropFirst()).allSatisfy(>)
                && timesteps[0] < path.trainingTimesteps && timesteps.last! >= 0,
            "the timesteps must descend strictly within 0..<\(path.trainingTimesteps)")
        precondition(
            arrival.map { (0..<timesteps[timesteps.count - 1]).contains($0) } ?? true,
            "the run must arrive below its last timestep")
        (self.path, self.timesteps, self.arrival) = (path, timesteps, arrival)
        self.solver = solver ?? path.defaultSolver
    }

    /// The same process and solver from a timestep on: `t`, then the timesteps visited below it. Sampling can begin
    /// there from a given x_t (SDEdit, arXiv 2108.01073).
    ///
    /// - Parameter t: from `0..<path.trainingTimesteps`.
    public func starting(at t: Int) -> Scheduler {
        Scheduler(path, timesteps: [t] + timesteps.filter { $0 < t }, arrival: arrival, solver: solver)
    }

    /// How many steps there are: one fewer than timesteps, or as many where there is an ``arrival``.
    public var stepCount: Int { timesteps.count - (arrival == nil ? 1 : 0) }

    /// The weights of the step from the visited timestep `index` to the next one, or to the ``arrival``.
    ///
    /// - Parameter index: from `0..<stepCount`.
    public func step(_ index: Int) -> StepWeights {
        solver.step(
            from: timesteps[index], to: index + 1 < timesteps.count ? timesteps[index + 1] : arrival!,
            after: timesteps[max(0, index - solver.history)..<index].reversed(), on: path)
    }
}
