import Foundation

/// The learning rate from step to step.
///
/// ```swift
/// var rate = LearningRate(RateSchedule(), initial: 1e-4)
/// while training { rate.advance(after: step(at: rate.value)) }
/// ```
public struct LearningRate: Equatable, Sendable {
    /// How the rate changes.
    public let schedule: RateSchedule

    /// The rate that the schedule begins with.
    public let initial: Double

    /// What the schedule has come to.
    var state: State

    /// What must be kept to go on with a schedule.
    struct State: Codable, Equatable, Sendable {
        /// The rate of the next step.
        var value: Double
        /// Steps made.
        var steps = 0
        /// The least loss so far; nil before the first.
        var best: Double?
        /// Steps in a row that were not better than the best.
        var badSteps = 0
        /// Steps for which nothing is counted, after the rate fell.
        var cooldown = 0
    }

    /// The rate before the first step.
    public init(_ schedule: RateSchedule, initial: Double) {
        (self.schedule, self.initial, state) = (schedule, initial, State(value: initial))
        if schedule.kind == .cosine { state.value = cosineRate }
    }

    /// The rate of the next step.
    public var value: Double { state.value }

    /// Goes on to the next step, after one of this loss.
    public mutating func advance(after loss: Double) {
        state.steps += 1
        switch schedule.kind {
        case .constant: break
        case .cosine: state.value = cosineRate
        case .plateau: watch(loss)
        }
    }

    /// A line up to the initial rate, and half a cosine down to the least (arXiv 1608.03983, eq. 5, one period).
    private var cosineRate: Double {
        let (steps, warmup) = (Double(state.steps), Double(schedule.warmup))
        if steps < warmup { return initial * (steps + 1) / warmup }
        let share = min(1, (steps - warmup) / max(1, Double(schedule.period) - warmup))
        return schedule.minimum + (initial - schedule.minimum) * (1 + cos(.pi * share)) / 2
    }

    /// As PyTorch's `ReduceLROnPlateau` in mode `min` with a relative threshold.
    private mutating func watch(_ loss: Double) {
        if state.best.map({ loss < $0 * (1 - schedule.threshold) }) ?? true {
            state.best = loss
            state.badSteps = 0
        } else {
            state.badSteps += 1
        }
        if state.cooldown > 0 {
            state.cooldown -= 1
            state.badSteps = 0
        }
        guard state.badSteps > schedule.patience else { return }
        let next = max(state.value * schedule.factor, schedule.minimum)
        // PyTorch leaves out a change that is too small to matter.
        if state.value - next > 1e-8 { state.value = next }
        state.cooldown = schedule.cooldown
        state.badSteps = 0
    }
}
