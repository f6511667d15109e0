/// Why a saved state could not be read or resumed.
public enum SamplingStateError: Error, Equatable, CustomStringConvertible {
    /// The file is no saved state, or damaged.
    case damaged(file: String, reason: String)

    /// The state belongs to another run: another source, scheduler or sampler.
    case belongsToAnotherRun(field: String, found: String, expected: String)

    /// What was found and what was expected.
    public var description: String {
        switch self {
        case .damaged(let file, let reason):
            "\(file) cannot be read as the state of a run: \(reason); start the run anew"
        case .belongsToAnotherRun(let field, let found, let expected):
            "the state belongs to another run: its \(field) is \(found), and this run's is \(expected); resume it "
                + "with the source and the sampler that it was saved from"
        }
    }
}
