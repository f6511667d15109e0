import ArgumentParser
import Foundation
import VoxelBridge
import VoxelSupport

extension PredictionType: ExpressibleByArgument {}
extension ScoreCorrector.Scaling: ExpressibleByArgument {}

/// The settings of sampling.
struct SamplingOptions: ParsableArguments {
    /// The interaction of windows.
    enum Mode: String, CaseIterable, ExpressibleByArgument {
        case ista
        case istaMiddle = "ista-middle"
        case coPredict = "co-predict"
        case independent
    }

    /// The reverse step.
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

    /// Earlier names of two solvers.
    enum StepRule: String, ExpressibleByArgument {
        case reference, marginal
    }

    /// The package's paths by their names in files.
    enum Process: String, CaseIterable, ExpressibleByArgument {
        case brownianBridge = "brownian_bridge"
        case symmetricBridge = "symmetric_bridge"
        case diffusion
        case rectifiedFlow = "rectified_flow"
        case direct
    }

    @Option(
        help: ArgumentHelp(
            "Number of steps, from 3 to the number of timesteps of the process: 1000, or the model's.",
            discussion: """
                Default: 50; 1 for a network that maps its source directly, and for the histogram model, whose result \
                does not depend on it. For a 3-D latent model: 1 to 500 (half of the timesteps of its \
                process), 200 by default.
                """))
    var steps: Int?

    @Option(
        help: "The interaction of windows. (default: ista; co-predict for the histogram model)")
    var mode: Mode?

    @Option(help: "Number of corrections after each step, in the ista modes.")
    var corrections = 1

    @Option(help: "The step size of corrections, lambda; published: 0.5 for CT to MRI, 0.05 for FLAIR to T1.")
    var stepSize = 0.5

    @Option(help: "The numerator of corrections: sqrt(d) of the public implementation, or d of the paper.")
    var scaling = ScoreCorrector.Scaling.reference

    @Flag(
        inversion: .prefixedNo,
        help: "Limit corrections to the path's mean. The published formula has no limit.")
    var bound = true

    @Flag(
        inversion: .prefixedNo,
        help: ArgumentHelp(
            "Clamp estimates to the intensity range at every step.",
            discussion: "Default: --clip, as in the public implementation's tests; --no-clip with --raw."))
    var clip: Bool?

    @Option(
        help: ArgumentHelp(
            "The reverse step.",
            discussion: """
                published: as in the public implementation; ddim: preserves the path's marginals; ancestral: ddim \
                with fresh noise; two-point: second-order ddim. Default: published for a Brownian bridge, ddim \
                otherwise.
                """))
    var solver: SolverName?

    @Option(help: .hidden)
    var stepRule: StepRule?

    @Option(
        help:
            "The process used in training. (default: the model's, else brownian_bridge)")
    var process: Process?

    @Option(
        help: ArgumentHelp(
            "The schedule of the process. (default: the model's, else linear)",
            discussion: """
                brownian_bridge: linear, sin or control; diffusion: linear, scaled_linear or cosine; other \
                processes have none.
                """))
    var schedule: String?

    @Option(help: "The plane of the slices. (default: the model's, else axial)")
    var plane: SlicePlane?

    @Option(
        help: ArgumentHelp(
            "Distance between the model's voxels, in mm. (default: the model's, else 1.0)",
            discussion: "For a 3-D latent model: the model's, else no resampling."))
    var spacing: Double?

    @Option(
        name: [.customLong("prediction-type"), .customLong("objective")],
        help: "The quantity that the network predicts. (default: the model's, else gradient)")
    var predictionType: PredictionType?

    @Option(help: "Number of windows in one call to the model. The result does not depend on it.")
    var batch = 4

    @OptionGroup
    var threads: ThreadOptions

    func validate() throws {
        if let steps, steps < 1 { throw ValidationError("--steps must be at least 1, but is \(steps)") }
        if let spacing, !(spacing > 0 && spacing.isFinite) {
            throw ValidationError("--spacing must be above zero, but is \(spacing)")
        }
        try require(
            (0...1000).contains(corrections), "--corrections must be from 0 to 1000, but is \(corrections)")
        try require(stepSize >= 0 && stepSize.isFinite, "--step-size must not be negative, but is \(stepSize)")
        try require(batch >= 1, "--batch must be at least 1, but is \(batch)")
        if solver != nil, stepRule != nil {
            throw ValidationError("--solver and --step-rule cannot be used together; give only --solver")
        }
    }

    /// The settings given as options, else the model's, else the published ones.
    func settings(ofModel known: TranslationSettings?) throws -> TranslationSettings {
        var settings = known ?? TranslationSettings()
        if process != nil || schedule != nil {
            let path = try? settings.process.path()
            let kind = process?.rawValue ?? settings.process.kind
            var fields: [String: JSONValue] = [:]
            if kind == settings.process.kind { fields = settings.process.explicitFields }
            if let timesteps = path?.trainingTimesteps, timesteps > 1, kind != DirectMapping.kind {
                fields["timesteps"] = .integer(timesteps)
            }
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
        let mode = mode(dependsOnNoisy: denoiser.dependsOnNoisy)
        return SliceSampler(
            scheduler: try scheduler(settings: settings, dependsOnNoisy: denoiser.dependsOnNoisy),
            denoiser: denoiser, plane: settings.plane, aggregation: mode == .independent ? nil : .mean,
            corrector: corrects(in: mode)
                ? ScoreCorrector(steps: corrections, stepSize: stepSize, scaling: scaling, isBounded: bound)
                : nil,
            scoreAggregation: mode == .istaMiddle ? .middleSlice : nil, batchSize: batch,
            batchesInFlight: threads.count)
    }

    /// The steps for a denoiser whose predictions depend on x_t, or for one whose do not.
    func scheduler(settings: TranslationSettings, dependsOnNoisy: Bool) throws -> Scheduler {
        let path = try settings.process.path()
        let solver = solver?.solver ?? stepRule.map { $0 == .reference ? .published() : .ddim() as any Solver }
        let isDirect = path.trainingTimesteps == 1
        let count = count(dependsOnNoisy: dependsOnNoisy && !isDirect)
        guard count > 1 else {
            try require(
                !dependsOnNoisy || isDirect, "--steps must be at least 3 for a network, but is 1")
            return Scheduler(path, timesteps: [0], solver: solver)
        }
        try require(
            !isDirect, "--steps must be 1 for a network that maps its source directly, but is \(count)")
        try require(
            (3...path.trainingTimesteps).contains(count),
            "--steps must be from 3 to \(path.trainingTimesteps), the timesteps of the process, but is \(count)"
        )
        return Scheduler(path, steps: count, solver: solver)
    }

    /// What decides the result, by the names of the options.
    func record(settings: TranslationSettings, dependsOnNoisy: Bool) throws -> [String: JSONValue] {
        let mode = mode(dependsOnNoisy: dependsOnNoisy)
        let scheduler = try scheduler(settings: settings, dependsOnNoisy: dependsOnNoisy)
        var record: [String: JSONValue] = [
            "steps": .integer(scheduler.timesteps.count), "mode": .string(mode.rawValue),
            "solver": .string("\(scheduler.solver)"), "clip": clip.map { .bool($0) } ?? .null,
        ]
        if corrects(in: mode) {
            record["corrections"] = .integer(corrections)
            record["step_size"] = .number(stepSize)
            record["scaling"] = .string(scaling.rawValue)
            record["bound"] = .bool(bound)
        }
        return record.filter { $0.value != .null }
    }

    private func mode(dependsOnNoisy: Bool) -> Mode { mode ?? (dependsOnNoisy ? .ista : .coPredict) }

    private func corrects(in mode: Mode) -> Bool { mode == .ista || mode == .istaMiddle }

    private func count(dependsOnNoisy: Bool) -> Int { steps ?? (dependsOnNoisy ? 50 : 1) }
}
