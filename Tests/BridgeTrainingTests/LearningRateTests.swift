import Foundation
import TestSupport
import Testing

@testable import BridgeTraining

/// The learning rate from step to step.
struct LearningRateTests {
    private func rates(_ schedule: RateSchedule, initial: Double, losses: [Double]) -> [Double] {
        var rate = LearningRate(schedule, initial: initial)
        return losses.map { loss in
            defer { rate.advance(after: loss) }
            return rate.value
        } + [rate.value]
    }

    /// Worked by hand from PyTorch's rules: with a patience of 1 the second bad step in a row halves the rate, bad
    /// steps of the cooldown are not counted, and the floor holds.
    @Test func aPlateauHalvesTheRate() {
        var schedule = RateSchedule()
        (schedule.patience, schedule.cooldown, schedule.minimum) = (1, 2, 0.2)
        let losses = [1, 1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
        #expect(
            rates(schedule, initial: 1, losses: losses) == [
                1, 1, 1,  // the first is the best; then one bad step, which is waited for
                0.5, 0.5, 0.5, 0.5,  // the second bad one halves; two of cooldown, one bad
                0.25,  // the next bad one halves
                0.25, 0.25, 0.25,  // 0.5 is better, and the cooldown's first; its second; one bad
                0.2, 0.2, 0.2,  // not below the floor
            ])
    }

    @Test func aLossMustFallByTheThresholdToCount() {
        var schedule = RateSchedule()
        (schedule.patience, schedule.cooldown, schedule.threshold) = (0, 0, 0.1)
        #expect(rates(schedule, initial: 1, losses: [1, 0.95]).last == 0.5)
        #expect(rates(schedule, initial: 1, losses: [1, 0.89]).last == 1)
    }

    @Test func changesTooSmallToMatterAreNotMade() {
        var schedule = RateSchedule()
        (schedule.patience, schedule.cooldown, schedule.minimum) = (0, 0, 0)
        #expect(rates(schedule, initial: 1.5e-8, losses: [1, 1]).last == 1.5e-8)
    }

    @Test func aCosineIsOne() async {
        await checkLaw { generator in
            var schedule = RateSchedule()
            schedule.kind = .cosine
            schedule.minimum = 0.01
            schedule.warmup = generator.size(in: 0...5)
            schedule.period = schedule.warmup + generator.size(in: 1...20)
            let rates = rates(
                schedule, initial: 0.5, losses: (0..<schedule.period + 3).map { _ in .random(in: 0...1) })
            for (step, rate) in rates.enumerated() {
                let share = Double(step - schedule.warmup) / Double(schedule.period - schedule.warmup)
                let expected =
                    step < schedule.warmup
                    ? 0.5 * Double(step + 1) / Double(schedule.warmup)
                    : 0.01 + 0.49 * (1 + cos(.pi * min(1, share))) / 2
                try #require(abs(rate - expected) < 1e-12)
            }
            try #require(abs(rates.last! - 0.01) < 1e-12)
        }
    }

    @Test func aConstantStays() {
        var schedule = RateSchedule()
        schedule.kind = .constant
        #expect(rates(schedule, initial: 0.3, losses: [1, 1, 1]) == [0.3, 0.3, 0.3, 0.3])
    }
}
