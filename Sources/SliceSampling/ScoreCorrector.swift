/// The corrector of inter-slice trajectory alignment (arXiv 2407.05059, algorithm 1): a step along the score
/// S = -(x_t - a_t x_0 - b_t y) / s_t² of the co-predicted estimate,
///
///     x_t <- x_t + lambda delta_{t|t-1} (sqrt(d) / ||S||)² S
///
/// where ||S|| and the number of voxels d = rows x columns are taken slice by slice.
public struct ScoreCorrector: SliceCorrector {
    /// The numerator of the step's size.
    public enum Scaling: String, CaseIterable, Codable, Sendable {
        /// d / ||S||², as the paper has it.
        case paper
        /// sqrt(d) / ||S||², as the public implementation has it: sqrt(d) times smaller.
        case reference
    }

    /// How many corrections are made after a step, and how large.
    public struct Rule: Hashable, Sendable {
        /// M: number of corrections.
        public var steps: Int

        /// lambda: 0.5 was published for CT to MRI, 0.05 for FLAIR to T1.
        public var stepSize: Double

        /// So many corrections of a size.
        public init(steps: Int, stepSize: Double) { (self.steps, self.stepSize) = (steps, stepSize) }
    }

    /// The numerator of the step's size.
    public var scaling: Scaling

    /// How the windows' predictions become the estimate in the score.
    public var aggregation: any SliceAggregation

    private let rule: @Sendable (_ timestep: Int) -> Rule

    /// A corrector that does the same after every step.
    ///
    /// - Parameters:
    ///   - steps: M, at least zero.
    ///   - stepSize: lambda: 0.5 was published for CT to MRI, 0.05 for FLAIR to T1.
    ///   - scaling: the numerator of the step's size.
    ///   - aggregation: how the windows' predictions become the estimate in the score.
    public init(
        steps: Int = 1, stepSize: Double = 0.5, scaling: Scaling = .paper,
        aggregation: any SliceAggregation = .mean
    ) {
        precondition(steps >= 0, "the number of corrections cannot be negative")
        self.init(scaling: scaling, aggregation: aggregation) { _ in Rule(steps: steps, stepSize: stepSize) }
    }

    /// A corrector with a rule of its own.
    ///
    /// ```swift
    /// let late = ScoreCorrector { timestep in .init(steps: timestep < 500 ? 2 : 0, stepSize: 0.2) }
    /// ```
    ///
    /// - Parameters:
    ///   - scaling: the numerator of the step's size.
    ///   - aggregation: how the windows' predictions become the estimate in the score.
    ///   - rule: what to do after the step that arrives at a timestep.
    public init(
        scaling: Scaling = .paper, aggregation: any SliceAggregation = .mean,
        rule: @escaping @Sendable (_ timestep: Int) -> Rule
    ) {
        (self.scaling, self.aggregation, self.rule) = (scaling, aggregation, rule)
    }

    /// M, after the step that arrives at a timestep.
    public func corrections(at timestep: Int) -> Int { rule(timestep).steps }

    /// The slice a step along its score. A slice whose score vanishes stays as it is. O(n).
    public func correct(
        _ slice: ArraySlice<Float>, estimate: ArraySlice<Float>, source: ArraySlice<Float>,
        at timestep: Int, scheduler: any GaussianPathScheduler
    ) -> [Float] {
        let weights = scheduler.score(at: timestep)
        var score = [Float](unsafeUninitializedCapacity: slice.count) { score, count in
            combine(weights, noisy: slice, target: estimate, source: source, into: score)
            count = slice.count
        }
        let squaredNorm = score.reduce(0.0) { $0 + Double($1) * Double($1) }
        // Where the score vanishes, x_t is at its most likely place already.
        guard squaredNorm > 0 else { return Array(slice) }
        let numerator = scaling == .paper ? Double(slice.count) : Double(slice.count).squareRoot()
        let step = Float(
            rule(timestep).stepSize * scheduler.transitionVariance(at: timestep) * numerator / squaredNorm)
        slice.withUnsafeBufferPointer { slice in
            for index in slice.indices { score[index] = slice[index] + step * score[index] }
        }
        return score
    }
}

/// Writes `weights.noisy * noisy + weights.target * target + weights.source * source` into `result`.
func combine(
    _ weights: PathCombination, noisy: ArraySlice<Float>, target: ArraySlice<Float>,
    source: ArraySlice<Float>, into result: UnsafeMutableBufferPointer<Float>
) {
    let (noisyWeight, targetWeight, sourceWeight) = (
        Float(weights.noisy), Float(weights.target), Float(weights.source)
    )
    noisy.withUnsafeBufferPointer { noisy in
        target.withUnsafeBufferPointer { target in
            source.withUnsafeBufferPointer { source in
                for index in noisy.indices {
                    result[index] =
                        noisyWeight * noisy[index] + targetWeight * target[index]
                        + sourceWeight * source[index]
                }
            }
        }
    }
}
