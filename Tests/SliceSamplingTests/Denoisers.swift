import SliceSampling
import TestSupport

/// Knows x_0, and predicts it in any parameterisation.
struct OracleDenoiser: SliceDenoiser {
    let radius: Int
    let parameterization: Parameterization
    let scheduler: any GaussianPathScheduler
    /// The target, its slices last among the axes, extended by `radius` slices at both ends.
    let extendedTarget: [Float]

    init(
        target: Volume, radius: Int, parameterization: Parameterization, scheduler: any GaussianPathScheduler,
        background: Float = -1
    ) {
        self.radius = radius
        self.parameterization = parameterization
        self.scheduler = scheduler
        let end = [Float](repeating: background, count: radius * target.shape.x * target.shape.y)
        extendedTarget = end + target.voxels + end
    }

    func predict(_ windows: SliceWindows, at t: Int, conditioning: Void) async throws -> [Float] {
        (0..<windows.count).flatMap { index -> [Float] in
            let start = (windows.indices.lowerBound + index) * windows.rows * windows.columns
            let x0 = Array(extendedTarget[start..<start + windows.valuesPerWindow])
            let (x, y) = (Array(windows.noisy(index)), Array(windows.source(index)))
            // The noise that is in x_t, from which the training target follows.
            let path = scheduler.coefficients(at: t)
            let deviation = Float(path.variance.squareRoot())
            let noise = x.indices.map {
                (x[$0] - Float(path.target) * x0[$0] - Float(path.source) * y[$0]) / deviation
            }
            return scheduler.trainingTarget(of: parameterization, at: t)(
                noisy: x, target: x0, source: y, noise: noise)
        }
    }
}

/// A nonlinear function of all of a window, with a delay that makes batches arrive out of order.
struct MixingDenoiser: SliceDenoiser {
    var radius: Int
    var parameterization = Parameterization.gradient
    var delays = false

    func predict(_ windows: SliceWindows, at t: Int, conditioning: Void) async throws -> [Float] {
        if delays {
            try await Task.sleep(for: .microseconds((windows.indices.lowerBound &* 7919 &+ t) % 5 * 300))
        }
        let slice = windows.rows * windows.columns
        return (0..<windows.count).flatMap { index -> [Float] in
            let (x, y) = (Array(windows.noisy(index)), Array(windows.source(index)))
            return x.indices.map { voxel in
                let neighbour = x[(voxel + slice) % x.count]
                return 0.3 * x[voxel] - 0.2 * y[voxel] + 0.1 * neighbour * y[voxel] + Float(t) * 1e-4
            }
        }
    }
}

/// Runs any closure as a denoiser.
struct ClosureDenoiser: SliceDenoiser {
    var radius = 1
    var parameterization = Parameterization.sample
    let body: @Sendable (SliceWindows, Int) async throws -> [Float]

    func predict(_ windows: SliceWindows, at t: Int, conditioning: Void) async throws -> [Float] {
        try await body(windows, t)
    }
}
