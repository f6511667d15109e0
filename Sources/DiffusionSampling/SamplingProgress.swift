/// The progress of a run.
public struct SamplingProgress: Hashable, Sendable {
    /// The step that is being made, from 1.
    public var step: Int

    /// S, the number of steps of the run.
    public var steps: Int

    /// Evaluations of the denoiser that are done, over all steps and corrections.
    public var evaluationsDone: Int

    /// Evaluations of the denoiser in the whole run: S, and M for each step but the last.
    public var evaluations: Int

    /// The share of the evaluation under way that is done, 0 to 1.
    public var fractionOfEvaluation: Double

    /// The share of the run that is done, 0 to 1.
    public var fractionCompleted: Double {
        (Double(evaluationsDone) + fractionOfEvaluation) / Double(evaluations)
    }
}
