import SliceSampling

/// A denoiser of one's own: for columns of voxels that hold one value along all slices, and noise.
///
/// The values are spread with variance `signal` about zero, the noise with variance `noise`. The best linear
/// estimate of a column's value from the 2N+1 slices of a window is their mean, shrunk towards zero.
///
/// A network would go in its place: `predict` is where Core ML, libtorch or a server is called.
struct WindowMeanDenoiser: SliceDenoiser {
    let signal: Float
    let noise: Float
    let radius = 1

    /// As the published networks do, it predicts x_t - x_0.
    let predictionType = PredictionType.gradient

    /// How much of a window's mean the estimate keeps.
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
