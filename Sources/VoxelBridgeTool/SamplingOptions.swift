import ArgumentParser
import Foundation
import VolumeTranslation

extension Parameterization: ExpressibleByArgument {}
extension ScoreCorrector.Scaling: ExpressibleByArgument {}
extension StepRule: ExpressibleByArgument {}
extension BrownianBridge.Schedule: ExpressibleByArgument {}
extension ProcessSettings.Kind: ExpressibleByArgument {}

/// How a volume is sampled.
struct SamplingOptions: ParsableArguments {
    /// How the windows act on one another.
    enum Mode: String, CaseIterable, ExpressibleByArgument {
        case ista
        case istaMiddle = "ista-middle"
        case coPredict = "co-predict"
        case independent
    }

    @Option(help: "How many timesteps are visited, from 3 to all that the process has: 1000, or the model's.")
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
        help: ArgumentHelp(
            "The reverse step: that of the public implementation, or one that keeps the path's marginals.",
            discussion: "Default: reference for a Brownian bridge, marginal for other processes."))
    var stepRule: StepRule?

    @Option(
        help:
            "The process that the network was trained to reverse. (default: the model's, else brownian_bridge)")
    var process: ProcessSettings.Kind?

    @Option(help: "How a Brownian bridge goes from target to source. (default: the model's, else linear)")
    var schedule: BrownianBridge.Schedule?

    @Option(help: "The plane of the slices. (default: the model's, else axial)")
    var plane: SlicePlane?

    @Option(
        help: "Distance between the voxels that the model sees, in mm. (default: the model's, else 1.0)")
    var spacing: Double?

    @Option(help: "What the network was trained to predict. (default: the model's, else gradient)")
    var objective: Parameterization?

    @Option(help: "Windows handed to the model in one call. The result does not depend on it.")
    var batch = 4

    @Option(
        help: "Calls to the model at the same time. The result does not depend on it. (default: one a core)")
    var threads: Int?

    func validate() throws {
        guard steps >= 3 else { throw ValidationError("--steps must be at least 3, and is \(steps)") }
        if let spacing, !(spacing > 0 && spacing.isFinite) {
            throw ValidationError("--spacing must be above zero, and is \(spacing)")
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

    /// What to translate with: what was given, else what the model says, else the published settings.
    func settings(ofModel known: TranslationSettings?) throws -> TranslationSettings {
        var settings = known ?? TranslationSettings()
        if let process, process != settings.process.kind {
            let timesteps = settings.process.timesteps
            settings.process = ProcessSettings()
            (settings.process.kind, settings.process.timesteps) = (process, timesteps)
        }
        if let schedule { settings.process.schedule = schedule }
        if let plane { settings.plane = plane }
        if let spacing { settings.spacing = spacing }
        if let objective { settings.objective = objective }
        do { try settings.validate() } catch { throw ValidationError("\(error)") }
        guard steps <= settings.process.timesteps else {
            throw ValidationError(
                "--steps must be from 3 to \(settings.process.timesteps), the timesteps of the process, and is "
                    + "\(steps)")
        }
        return settings
    }

    func sampler<Denoiser>(
        for denoiser: Denoiser, settings: TranslationSettings
    ) -> SliceSampler<Denoiser> {
        let score: any SliceAggregation = mode == .istaMiddle ? .middleSlice : .mean
        let corrects = mode == .ista || mode == .istaMiddle
        return SliceSampler(
            scheduler: settings.process.scheduler(steps: steps, stepRule: stepRule), denoiser: denoiser,
            plane: settings.plane,
            aggregation: mode == .independent ? nil : .mean,
            corrector: corrects
                ? ScoreCorrector(
                    steps: corrections, stepSize: stepSize, scaling: scaling, aggregation: score) : nil,
            batchSize: batch,
            batchesInFlight: threads ?? ProcessInfo.processInfo.activeProcessorCount)
    }
}
