public import Foundation

/// Why sampling ended without a result.
public enum SamplingError: LocalizedError, CustomStringConvertible {
    /// The denoiser predicted NaN or infinity.
    case notFinite(timestep: Int)

    /// What was found, and what to do.
    public var description: String {
        switch self {
        case .notFinite(let timestep):
            "at timestep \(timestep) the denoiser predicted NaN or infinity; check the weights and the intensities "
                + "of the source"
        }
    }

    /// The same as ``description``.
    public var errorDescription: String? { description }
}

/// Why a saved state could not be read or resumed.
public enum SamplingStateError: LocalizedError, Equatable, CustomStringConvertible {
    /// The file is no saved state, or damaged.
    case damaged(file: String, reason: String)

    /// The state belongs to another run: another source, scheduler, sampler or model.
    case belongsToAnotherRun(setting: String, found: String, expected: String)

    /// What was found and what was expected.
    public var description: String {
        switch self {
        case .damaged(let file, let reason):
            "\(file) cannot be read as the state of a run: \(reason); start a new run"
        case .belongsToAnotherRun(let setting, let found, let expected):
            "the state belongs to another run: its \(setting) is \(found), and that of this run is \(expected); "
                + "resume it with the settings that it was saved with, or start a new run"
        }
    }

    /// The same as ``description``.
    public var errorDescription: String? { description }
}
