import BridgeDiffusion

/// The processes that there are.
public enum PathProcess: CaseIterable, Sendable {
    case brownianBridge, symmetricBridge, diffusion, rectifiedFlow

    /// The process with its own settings, at a list of timesteps.
    public func scheduler(
        timesteps: [Int], of trainingTimesteps: Int = 1000, stepRule: StepRule = .marginalPreserving
    ) -> any GaussianPathScheduler {
        switch self {
        case .brownianBridge:
            BrownianBridge(timesteps: timesteps, trainingTimesteps: trainingTimesteps, stepRule: stepRule)
        case .symmetricBridge:
            SymmetricBridge(timesteps: timesteps, trainingTimesteps: trainingTimesteps, stepRule: stepRule)
        case .diffusion:
            GaussianDiffusion(timesteps: timesteps, trainingTimesteps: trainingTimesteps, stepRule: stepRule)
        case .rectifiedFlow:
            RectifiedFlow(timesteps: timesteps, trainingTimesteps: trainingTimesteps, stepRule: stepRule)
        }
    }
}

extension SeededGenerator {
    /// Any process, with any settings, at any list of timesteps: evenly or unevenly spaced, or a list of its own.
    public mutating func scheduler(
        steps: ClosedRange<Int> = 3...8, of trainingTimesteps: ClosedRange<Int> = 10...1000
    ) -> any GaussianPathScheduler {
        let all = Int.random(in: trainingTimesteps, using: &self)
        let timesteps = timesteps(min(size(in: steps), all), of: all)
        let rule = StepRule.allCases.randomElement(using: &self)!
        switch PathProcess.allCases.randomElement(using: &self)! {
        case .brownianBridge:
            return BrownianBridge(
                timesteps: timesteps, trainingTimesteps: all,
                schedule: BrownianBridge.Schedule.allCases.randomElement(using: &self)!,
                varianceScale: Double.random(in: 0.1...4, using: &self), stepRule: rule)
        case .symmetricBridge:
            return SymmetricBridge(
                timesteps: timesteps, trainingTimesteps: all, betaMax: Double.random(in: 0.2...2, using: &self),
                stepRule: rule)
        case .diffusion:
            let schedules: [GaussianDiffusion.Schedule] = [.linear(), .scaledLinear(), .cosine]
            return GaussianDiffusion(
                timesteps: timesteps, trainingTimesteps: all, schedule: schedules.randomElement(using: &self)!,
                stepRule: rule)
        case .rectifiedFlow:
            return RectifiedFlow(timesteps: timesteps, trainingTimesteps: all, stepRule: rule)
        }
    }

    private mutating func timesteps(_ count: Int, of all: Int) -> [Int] {
        let spacings: [TimestepSpacing] = [.linear, .uniform, .cosine, .karras(rho: 2), .karras(rho: 7)]
        if count >= 3, let spacing = (spacings + [nil]).randomElement(using: &self)! {
            return spacing.timesteps(count, of: all)
        }
        return (0..<all).shuffled(using: &self).prefix(count).sorted(by: >)
    }
}
