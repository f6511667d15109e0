import BridgeDiffusion

/// The paths that there are.
public enum PathProcess: CaseIterable, Sendable {
    case brownianBridge, symmetricBridge, diffusion, rectifiedFlow

    /// The path with its own settings.
    public func path(of trainingTimesteps: Int = 1000) -> any StorablePath {
        switch self {
        case .brownianBridge: BrownianBridge(trainingTimesteps: trainingTimesteps)
        case .symmetricBridge: SymmetricBridge(trainingTimesteps: trainingTimesteps)
        case .diffusion: GaussianDiffusion(trainingTimesteps: trainingTimesteps)
        case .rectifiedFlow: RectifiedFlow(trainingTimesteps: trainingTimesteps)
        }
    }

    /// A scheduler of the path with its own settings, at a list of timesteps.
    public func scheduler(
        timesteps: [Int], of trainingTimesteps: Int = 1000, solver: any Solver = .ddim()
    ) -> Scheduler {
        Scheduler(path(of: trainingTimesteps), timesteps: timesteps, solver: solver)
    }
}

extension SeededGenerator {
    /// Any path, with any settings.
    public mutating func path(of trainingTimesteps: ClosedRange<Int> = 10...1000) -> any StorablePath {
        let all = Int.random(in: trainingTimesteps, using: &self)
        switch PathProcess.allCases.randomElement(using: &self)! {
        case .brownianBridge:
            return BrownianBridge(
                trainingTimesteps: all, schedule: BrownianBridge.Schedule.allCases.randomElement(using: &self)!,
                varianceScale: Double.random(in: 0.1...4, using: &self))
        case .symmetricBridge:
            return SymmetricBridge(trainingTimesteps: all, betaMax: Double.random(in: 0.2...2, using: &self))
        case .diffusion:
            let schedules: [GaussianDiffusion.Schedule] = [.linear(), .scaledLinear(), .cosine]
            return GaussianDiffusion(trainingTimesteps: all, schedule: schedules.randomElement(using: &self)!)
        case .rectifiedFlow: return RectifiedFlow(trainingTimesteps: all)
        }
    }

    /// Any solver, with any eta.
    public mutating func solver() -> any Solver {
        let eta = Bool.random(using: &self) ? 0 : Double.random(in: 0...1, using: &self)
        let solvers: [any Solver] = [.published(eta: eta), .ddim(eta: eta), .twoPoint]
        return solvers.randomElement(using: &self)!
    }

    /// Any path and solver, at any list of timesteps: evenly or unevenly spaced, or a list of its own.
    public mutating func scheduler(
        steps: ClosedRange<Int> = 3...8, of trainingTimesteps: ClosedRange<Int> = 10...1000,
        solver: (any Solver)? = nil
    ) -> Scheduler {
        let path = path(of: trainingTimesteps)
        let timesteps = timesteps(min(size(in: steps), path.trainingTimesteps), of: path.trainingTimesteps)
        return Scheduler(path, timesteps: timesteps, solver: solver ?? self.solver())
    }

    private mutating func timesteps(_ count: Int, of all: Int) -> [Int] {
        let spacings: [TimestepSpacing] = [.linear, .uniform, .cosine, .karras(rho: 2), .karras(rho: 7)]
        if count >= 3, let spacing = (spacings + [nil]).randomElement(using: &self)! {
            return spacing.timesteps(count, of: all)
        }
        return (0..<all).shuffled(using: &self).prefix(count).sorted(by: >)
    }
}
