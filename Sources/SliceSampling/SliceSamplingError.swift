public import Foundation

/// Why sampling slices ended without a result, and where.
public struct SliceSamplingError: LocalizedError, CustomStringConvertible {
    /// What went wrong.
    public enum Reason: Sendable {
        /// The denoiser returned too few or too many values for its windows.
        case predictionSize(found: Int, expected: Int)
        /// The denoiser predicted NaN or infinity for a slice of the volume, in a window.
        case predictionNotFinite(window: Int, slice: Int)
        /// The denoiser threw an error.
        case denoiser(any Error)
    }

    /// The timestep t at which the denoiser was evaluated.
    public let timestep: Int

    /// The windows that it was evaluated on. Window i has slice i of the volume in its middle.
    public let windows: Range<Int>

    /// What went wrong.
    public let reason: Reason

    /// Where it happened, what was found, and what was expected.
    public var description: String {
        let place =
            "at timestep \(timestep), in the windows around slices \(windows.lowerBound) to "
            + "\(windows.upperBound - 1): "
        return switch reason {
        case .predictionSize(let found, let expected):
            place + "the denoiser returned \(found) values; \(expected) were expected, 2N+1 slices a window"
        case .predictionNotFinite(let window, let slice):
            place + "the denoiser predicted NaN or infinity for slice \(slice), in the window around slice "
                + "\(window); check the weights and the intensities of the source"
        case .denoiser(let error): place + "\(error)"
        }
    }

    /// The same as ``description``.
    public var errorDescription: String? { description }
}
