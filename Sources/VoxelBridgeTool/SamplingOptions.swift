import ArgumentParser
import Foundation
import VoxelBridge
import VoxelSupport

extension PredictionType: ExpressibleByArgument {}
extension ScoreCorrector.Scaling: ExpressibleByArgument {}

/// How a volume is sampled.
struct SamplingOptions: ParsableArguments {
    /// How the windows act on one another.
    enum Mode: String, CaseIterable, ExpressibleByArgument {
        case ista
        case istaMiddle = "ista-middle"
        case coPredict = "co-predict"
        case independent
    }

    /// How sampling moves from one timestep to the next.
    enum SolverName: String, CaseIterable, ExpressibleByArgument {
        case published, ddim, ancestral
        case twoPoint = "two-point"

        var solver: any Solver {
            switch self {
            case .published: .published()
            case .ddim: .ddim()
            case .ancestral: .ancestral
            case .twoPoint: .twoPoint
            }
        }
    }

    /// The older names of two solvers.
    enum StepRule: String, ExpressibleByArgument {
        case reference, marginal
    }

    /// The paths of this package, by their names in files.
    enum Process: String, CaseIterable, ExpressibleByArgument {
        case brownianBridge = "brownian_bridge"
        case symmetricBridge = "symmetric_bridge"
        case diffusion
        case rectifiedFlow = "rectified_flow"
    }

    @Option(
        help: ArgumentHelp(
            "How many timesteps are visited, from 3 to all that the process has: 1000, or the model's.",
            discussion: "Default: 50; 1 for the histogram model, whose result does not depend on it."))
    var steps: Int?

    @Option(
        help: "How the windows act on one another. (default: ista; co-predict for the histogram model)")
    var mode: Mode?

    @Option(help: "Corrections after each step, in the ista modes.")
    var corrections = 1

    @Option(help: "The size of a correction, lambda: published are 0.5 for CT to MRI and 0.05 for FLAIR to T1.")
    var stepSize = 0.5

    @Option(help: "The numerator of a correction: sqrt(d) of the public implementation, or the paper's d.")
    var scaling = ScoreCorrector.Scaling.reference

    @Flag(
        inversion: .prefixedNo,
        help: "Whether a correction stops at the path's mean. The published formula is not bounded.")
    var bound = true

    @Flag(
        inversion: .prefixedNo,
        help: ArgumentHelp(
            "Whether estimates are clamped to the range of intensities at every step.",
            discussion: "Default: --clip, as the public implementation tests; --no-clip with --raw."))
    var clip: Bool?

    @Option(
        help: ArgumentHelp(
            "The reverse step.",
            discussion: """
                published: that of the public implementation; ddim: keeps the path's marginals; ancestral: ddim with \
                fresh noise; two-point: ddim of second order. Default: published for a Brownian bridge, ddim for \
                other processes.
                """))
    var solver: SolverName?

    @Option(help: .hidden)
    var stepRule: StepRule?

    @Option(
        help:
            "The process that the network was trained to reverse. (default: the model's, else brownian_bridge)")
    var process: Process?

    @Option(
        help: ArgumentHelp(
            "The schedule of the process. (default: the model's, else linear)",
            discussion: """
                brownian_bridge: linear, sin or control; diffusion: linear, scaled_linear or cosine; others have none.
                """))
    var schedule: String?

    @Option(help: "The plane of the slices. (default: the model's, else axial)")
    var plane: SlicePlane?

    @Option(
        help: "Distance between the voxels that the model sees, in mm. (default: the model's, else 1.0)")
    var spacing: Double?

    @Option(
        name: [.customLong("prediction-type"), .customLong("objective")],
        help: "What the network was trained to predict. (default: the model's, else gradient)")
    var predictionType: PredictionType?

    @Option(help: "Windows handed to the model in one call. The result does not depend on it.")
    var batch = 4

    @Option(
        help: "Calls to the model at the same time. The result does not depend on it. (default: one a core)")
    var threads: Int?

    func validate() throws {
        if let steps, steps < 1 { throw ValidationError("--steps must be at least 1, and is \(steps)") }
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
        if solver != nil, stepRule != nil {
            throw ValidationError("--solver and --step-rule exclude each other; give --solver alone")
        }
    }

    /// What to translate with: what was given, else what the model says, else the published settings.
    func settings(ofModel known: TranslationSettings?) throws -> TranslationSettings {
        var settings = known ?? TranslationSettings()
        if process != nil || schedule != nil {
            let path = try? settings.process.path()
            let kind = process?.rawValue ?? settings.process.kind
            var fields: [String: JSONValue] = [:]
            if kind == settings.process.kind { fields = settings.process.explicitFields }
            if let timesteps = path?.trainingTimesteps { fields["timesteps"] = .integer(timesteps) }
            if let schedule {
                // Other schedules have other rates.
                (fields["beta_start"], fields["beta_end"]) = (nil, nil)
                fields["schedule"] = .string(schedule)
            }
            settings.process = StoredPath(kind: kind, fields: fields)
        }
        if let plane { settings.plane = plane }
        if let spacing { settings.spacing = spacing }
        if let predictionType { settings.predictionType = predictionType }
        do { try settings.validate() } catch { throw ValidationError("\(error)") }
        return settings
    }

    func sampler<Denoiser: StyledDenoiser>(
        for denoiser: Denoiser, settings: TranslationSettings
    ) throws -> SliceSampler<Denoiser> {
        let mode = mode ?? (denoiser.dependsOnNoisy ? .ista : .coPredict)
        let path = try settings.process.path()
        let solver = solver?.solver ?? stepRule.map { $0 == .reference ? .published() : .ddim() as any Solver }
        let count = steps ?? (denoiser.dependsOnNoisy ? 50 : 1)
        let scheduler: Scheduler
        if count == 1 {
            guard !denoiser.dependsOnNoisy else {
                throw ValidationError("--steps must be at least 3 for a network, and is 1")
            }
            scheduler = Scheduler(path, timesteps: [0], solver: solver)
        } else {
            guard (3...path.trainingTimesteps).contains(count) else {
                throw ValidationError(
                    "--steps must be from 3 to \(path.trainingTimesteps), the timesteps of the process, and is "
                        + "\(count)")
            }
            scheduler = Scheduler(path, steps: count, solver: solver)
        }
        let corrects = mode == .ista || mode == .istaMiddle
        return SliceSampler(
            scheduler: scheduler, denoiser: denoiser, plane: settings.plane,
            aggregation: mode == .independent ? nil : .mean,
            corrector: corrects
                ? ScoreCorrector(steps: corrections, stepSize: stepSize, scaling: scaling, isBounded: bound)
                : nil,
            scoreAggregation: mode == .istaMiddle ? .middleSlice : nil, batchSize: batch,
            batchesInFlight: threads ?? ProcessInfo.processInfo.activeProcessorCount)
    }
}
