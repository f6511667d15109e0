/// Why sampling ended without a result.
public enum SamplingError: Error, Equatable, CustomStringConvertible {
    /// The denoiser returned too few or too many values for a batch of windows.
    case predictionSize(found: Int, expected: Int, windows: Range<Int>, timestep: Int)

    /// The denoiser predicted NaN or infinity.
    case predictionNotFinite(window: Int, slice: Int, timestep: Int)

    /// What was found, where, and what was expected.
    public var description: String {
        switch self {
        case .predictionSize(let found, let expected, let windows, let timestep):
            "at timestep \(timestep) the denoiser returned \(found) values for windows "
                + "\(windows.lowerBound) to \(windows.upperBound - 1); \(expected) were expected, "
                + "2N+1 slices for each window"
        case .predictionNotFinite(let window, let slice, let timestep):
            "at timestep \(timestep) the denoiser predicted NaN or infinity in window \(window), for slice "
                + "\(slice) of the volume; check the weights and the intensities of the source"
        }
    }
}
