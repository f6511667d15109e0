import BridgeTraining
import Foundation
import LatentTranslation
import NetworkEngine
import TensorFiles
import VoxelSupport

/// What a stage's results depend on beside its objective.
struct LatentStagePlan: Sendable {
    let stage: LatentStage
    let schedule: TrainingSchedule
    let settings: TrainingState.Settings
    /// Number of steps before the discriminator takes part.
    let adversarialStart: Int
    /// Number of steps before latents are quantised.
    let quantizationStart: Int
    let validation: LatentValidationSettings
    /// All settings that results depend on.
    let record: JSONValue

    init<Losses>(
        _ stage: LatentStage, _ settings: LatentStageSettings<Losses>, adversarialStart: Int = .max,
        quantizationStart: Int = 0, of configuration: LatentTrainingConfiguration
    ) throws {
        self.stage = stage
        schedule = TrainingSchedule(
            steps: settings.steps, examplesPerStep: settings.batch, intervals: settings.intervals)
        self.settings = TrainingState.Settings(
            optimizer: settings.optimizer, rateSchedule: settings.rateSchedule,
            movingAverage: settings.movingAverage)
        (self.adversarialStart, self.quantizationStart) = (adversarialStart, quantizationStart)
        validation = settings.validation
        var model = configuration.model
        model.process = model.process.explicit
        var data = configuration.data
        if stage != .denoiser { model.denoiser = nil }
        if stage == .autoencoder { data.sources = nil }
        record = .object([
            "stage": .string(stage.rawValue), "model": try JSONValue(encoding: model),
            "data": try JSONValue(encoding: data),
            stage.rawValue: try JSONValue(encoding: settings),
            "seed": try JSONValue(encoding: configuration.seed),
        ])
    }
}

/// The training of one stage, as a loop's task.
struct LatentStageTask<Objective: LatentObjective>: TrainingTask {
    let plan: LatentStagePlan
    let objective: Objective
    /// The networks that the stage started from.
    let start: LatentParameters
    let training: ModalityDataset
    let validation: ModalityDataset?
    let options: ComputeOptions
    let engine: NetworkGradients
    let seed: UInt64
    /// Reads an example that was drawn.
    let load: @Sendable (ExampleDrawer.Example, ModalityDataset) throws -> Objective.Example
    /// The networks with numbers that have been trained.
    let merge: @Sendable (LatentParameters, [String: Tensor]) -> LatentParameters
    var state: TrainingState
    var drawer: ExampleDrawer
    let validationDrawer: ExampleDrawer?

    var configuration: JSONValue { plan.record }
    var schedule: TrainingSchedule { plan.schedule }

    mutating func step() throws -> TrainingStepReport {
        let examples = try examples(schedule.examplesPerStep)
        let phase = phase(of: state.step)
        let objective = objective
        let restarted = try objective.restarted(
            parameters, at: state.step, randomness: Randomness(seed: seed), engine: engine
        ) { try self.examples($0) }
        // A step is taken whole or not at all.
        let before = phase.isAdversarial || restarted != nil ? state : nil
        do {
            for (name, tensor) in restarted ?? [:] { state.parameters.replace(name, with: tensor.values) }
            return try step(examples, in: phase)
        } catch {
            if let before { state = before }
            throw error
        }
    }

    /// What takes part in a step, by the number of steps before it.
    private func phase(of step: Int) -> LatentPhase {
        LatentPhase(
            isAdversarial: step >= plan.adversarialStart && objective.discriminator != nil,
            quantises: step >= plan.quantizationStart)
    }

    /// The first examples from the next step on.
    private mutating func examples(_ count: Int) throws -> [Objective.Example] {
        let first = state.step * schedule.examplesPerStep
        return try (first..<first + count).map { number in
            try TimeLimit.check()
            return try load(drawer.example(number), training)
        }
    }

    private mutating func step(_ examples: [Objective.Example], in phase: LatentPhase) throws
        -> TrainingStepReport
    {
        var result = try objective(parameters, examples, in: phase, engine: engine)
        let report = try state.step(against: &result.gradients, loss: result.loss)
        // After the generator's step, on a new forward pass.
        if phase.isAdversarial,
            var own = try objective.ofDiscriminator(parameters, examples, in: phase, engine: engine)
        {
            try state.stepDiscriminator(against: &own.gradients, loss: own.loss, rate: report.learningRate)
            result.parts.merge(own.parts) { $1 }
        }
        state.note(result.parts)
        return report
    }

    /// Every number that the objective may need.
    private var parameters: [String: Tensor] {
        start.all.merging(state.parameters.tensors) { $1 }
            .merging(state.discriminator?.parameters.tensors ?? [:]) { $1 }
    }

    /// The networks as trained so far.
    private var trained: LatentParameters { merge(start, state.averagedParameters.tensors) }

    func writeModel(to file: URL) throws { try trained.write(to: file) }

    func evaluation() throws -> (any TrainingEvaluation)? {
        guard let validation, let validationDrawer, plan.validation.examples > 0 || plan.validation.samples > 0
        else { return nil }
        // That of the step which was taken last: the next one's codebook may not have been trained.
        let (model, phase) = (try trained.model(options: options), phase(of: max(0, state.step - 1)))
        return LatentEvaluation(
            plan: plan, model: model, phase: phase, data: validation, drawer: validationDrawer, seed: seed,
            losses: {
                let examples = validationDrawer.validationExamples(plan.validation.examples)
                guard !examples.isEmpty else { return nil }
                let losses = try examples.map { example in
                    try TimeLimit.check()
                    return try objective.loss(of: load(example, validation), by: model, in: phase)
                }
                return losses.reduce(0, +) / Double(losses.count)
            })
    }
}
