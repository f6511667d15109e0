import SliceSampling

/// A custom denoiser for volumes that are constant along their columns, except for noise.
///
/// The constants have variance `signal` and mean zero, the noise has variance `noise`. The best linear estimate of a
/// column's constant from the 2N+1 slices of a window is their mean, shrunk towards zero.
///
/// A real denoiser would call Core ML, libtorch or a server in `predict`.
struct WindowMeanDenoiser: SliceDenoiser {
    let signal: Float
    let noise: Float
    let radius = 1

    /// x_t - x_0, as predicted by the published networks.
    let predictionType = PredictionType.gradient

    /// The factor of a window's mean in the estimate.
    var shrinkage: Float { signal / (signal + noise / Float(2 * radius + 1)) }

    func predict(_ windows: SliceWindows, at timestep: Int, conditioning: Void) async throws -> [Float] {
        var prediction: [Float] = []
        prediction.reserveCapacity(windows.count * windows.valuesPerWindow)
        let length = windows.rows * windows.columns
        for index in 0..<windows.count {
            let source = Array(windows.source(index))
            let estimate = (0..<length).map { voxel in
                let column = stride(from: voxel, to: source.count, by: length)
                return shrinkage * column.reduce(0) { $0 + source[$1] } / Float(windows.slicesPerWindow)
            }
            for (offset, value) in windows.noisy(index).enumerated() {
                prediction.append(value - estimate[offset % length])
            }
        }
        return prediction
    }
}
