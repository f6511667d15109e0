/// How far a run has come.
public struct SamplingProgress: Hashable, Sendable {
    /// Windows evaluated so far, over all steps and corrections.
    public var windowsEvaluated: Int

    /// Windows that the whole run evaluates.
    public var windowsInAll: Int

    /// The step that is being made, from 1.
    public var step: Int

    /// Number of steps of the run.
    public var steps: Int

    /// The share of the run that is done, 0 to 1.
    public var fractionCompleted: Double { Double(windowsEvaluated) / Double(windowsInAll) }
}
