import BridgeDiffusion
import Foundation
import TestSupport
import Testing

/// The bridge against the numbers of the public implementation.
@Suite(.enabled(if: Fixtures.hasReference, Fixtures.missingReference))
struct BrownianBridgeReferenceTests {
    private struct Schedule: Decodable {
        let t: [Int]
        let m, variance, transition, posterior: [Double]
    }

    private struct Reference: Decodable {
        let linear, sin, control: Schedule
        let steps: [String: [Int]]
    }

    private func reference() throws -> Reference {
        try JSONDecoder().decode(
            Reference.self, from: Data(contentsOf: Fixtures.reference("scheduler.json")))
    }

    @Test(arguments: BrownianBridge.Schedule.allCases)
    func coefficientsAgree(schedule: BrownianBridge.Schedule) throws {
        let reference = try reference()
        let expected =
            switch schedule {
            case .linear: reference.linear
            case .sin: reference.sin
            case .control: reference.control
            }
        let bridge = BrownianBridge(schedule: schedule)
        func agrees(_ value: Double, _ expected: Double) -> Bool {
            abs(value - expected) <= 1e-9 * max(abs(expected), 1e-3)
        }
        for (index, t) in expected.t.enumerated() {
            let path = bridge.coefficients(at: t)
            #expect(agrees(path.source, expected.m[index]))
            #expect(agrees(path.target, 1 - expected.m[index]))
            #expect(agrees(path.variance, expected.variance[index]))
            #expect(agrees(bridge.transitionVariance(at: t), expected.transition[index]))
            let posterior = bridge.posteriorVariance(of: t > 0 ? t - 1 : nil, from: t)
            #expect(agrees(posterior, expected.posterior[index]))
        }
    }

    @Test func visitedTimestepsAgree() throws {
        for (count, timesteps) in try reference().steps {
            #expect(Scheduler(BrownianBridge(), steps: Int(count)!).timesteps == timesteps)
        }
    }
}
