import Foundation

/// The learning rate of each step.
struct LearningRate: Equatable, Sendable {
    /// The schedule.
    let schedule: RateSchedule

    /// The initial rate.
    let initial: Double

    /// The current state.
    var state: State

    /// The state from which a schedule is resumed.
    struct State: Codable, Equatable, Sendable {
        /// The rate of the next step.
        var value: Double
        /// Number of steps taken.
        var steps = 0
        /// The lowest loss so far; nil before the first step.
        var best: Double?
        /// Number of consecutive steps without improvement.
        var badSteps = 0
        /// Remaining steps of the cooldown after a reduction.
        var cooldown = 0
    }

    /// The rate before the first step.
    init(_ schedule: RateSchedule, initial: Double) {
        (self.schedule, self.initial, state) = (schedule, initial, State(value: initial))
        if schedule.kind == .cosine { state.value = cosineRate }
    }

    /// The rate of the next step.
    var value: Double { state.value }

    /// Advances to the next step, after one with this loss.
    mutating func advance(after loss: Double) {
        state.steps += 1
        switch schedule.kind {
        case .constant: break
        case .cosine: state.value = cosineRate
        case .plateau: watch(loss)
        }
    }

    /// Linear warm-up to the initial rate, then cosine decay to the minimum (arXiv 1608.03983, eq. 5, one period).
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
        // PyTorch ignores smaller changes.
        if state.value - next > 1e-8 { state.value = next }
        state.cooldown = schedule.cooldown
        state.badSteps = 0
    }
}
