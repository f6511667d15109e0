import ArgumentParser
import Foundation
import VolumeTranslation

extension Parameterization: ExpressibleByArgument {}
extension ScoreCorrector.Scaling: ExpressibleByArgument {}
extension StepRule: ExpressibleByArgument {}
extension BrownianBridge.Schedule: ExpressibleByArgument {}

/// How a volume is sampled.
struct SamplingOptions: ParsableArguments {
    /// How the windows act on one another.
    enum Mode: String, CaseIterable, ExpressibleByArgument {
        case ista
        case istaMiddle = "ista-middle"
        case coPredict = "co-predict"
        case independent
    }

    @Option(help: "How many timesteps are visited (3 to 1000).")
    var steps = 50

    @Option(help: "How the windows act on one another.")
    var mode = Mode.ista

    @Option(help: "Corrections after each step, in the ista modes.")
    var corrections = 1

    @Option(help: "The size of a correction: published are 0.5 for CT to MRI and 0.05 for FLAIR to T1.")
    var stepSize = 0.5

    @Option(help: "The scaling of a correction: the paper's, or that of its public implementation.")
    var scaling = ScoreCorrector.Scaling.paper

    @Option(
        help: "The reverse step: that of the public implementation, or one that keeps the path's marginals.")
    var stepRule = StepRule.reference

    @Option(help: "How the bridge goes from target to source; as the network was trained.")
    var schedule = BrownianBridge.Schedule.linear

    @Option(help: "The plane of the slices.")
    var plane = SlicePlane.axial

    @Option(help: "Windows handed to the model in one call. The result does not depend on it.")
    var batch = 4

    @Option(
        help: "Calls to the model at the same time. The result does not depend on it. (default: one a core)")
    var threads: Int?

    func validate() throws {
        guard (3...1000).contains(steps) else {
            throw ValidationError("--steps must be from 3 to 1000, and is \(steps)")
        }
        guard (0...1000).contains(corrections) else {
            throw ValidationError("--corrections must be from 0 to 1000, and is \(corrections)")
        }
        guard stepSize >= 0, stepSize.isFinite else {
            throw ValidationError("--step-size must not be negative, and is \(stepSize)")
        }
        guard batch >= 1 else { throw ValidationError("--batch must be at least 1, and is \(batch)") }
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads must be from 1 to 1024, and is \(threads)")
        }
    }

    func sampler<Denoiser>(for denoiser: Denoiser) -> SliceSampler<Denoiser> {
        let score: any SliceAggregation = mode == .istaMiddle ? .middleSlice : .mean
        let corrects = mode == .ista || mode == .istaMiddle
        return SliceSampler(
            scheduler: BrownianBridge(steps: steps, schedule: schedule, stepRule: stepRule),
            denoiser: denoiser, plane: plane,
            aggregation: mode == .independent ? nil : .mean,
            corrector: corrects
                ? ScoreCorrector(
                    steps: corrections, stepSize: stepSize, scaling: scaling, aggregation: score) : nil,
            batchSize: batch,
            batchesInFlight: threads ?? ProcessInfo.processInfo.activeProcessorCount)
    }
}
