/// Moves a noisy volume back to where its distribution says it should be, after a reverse step.
///
/// Each correction evaluates the denoiser once more, on the volume that the step (or the correction before)
/// left, and then moves each slice.
public protocol SliceCorrector: Sendable {
    /// How the windows' predictions become the estimate that a correction is made from.
    var aggregation: any SliceAggregation { get }

    /// M: how many corrections follow the step that arrives at a timestep.
    func corrections(at timestep: Int) -> Int

    /// A slice after one correction.
    ///
    /// - Parameters:
    ///   - slice: the noisy slice x_t, rows x columns values, columns fastest.
    ///   - estimate: the estimate of x_0 for this slice.
    ///   - source: the source slice y.
    ///   - timestep: t.
    ///   - scheduler: the process that is sampled.
    /// - Returns: as many values as the slice has.
    func correct(
        _ slice: ArraySlice<Float>, estimate: ArraySlice<Float>, source: ArraySlice<Float>,
        at timestep: Int, scheduler: any GaussianPathScheduler
    ) -> [Float]
}
