import SliceSampling
import TestSupport

/// Knows x_0, and predicts it in any parameterisation.
struct OracleDenoiser: SliceDenoiser {
    let radius: Int
    let predictionType: PredictionType
    let scheduler: Scheduler
    /// The target's slices in a plane, extended by `radius` slices at both ends.
    let extendedTarget: [Float]

    init(
        target: Volume, plane: SlicePlane = .axial, radius: Int, predictionType: PredictionType,
        scheduler: Scheduler
    ) {
        self.radius = radius
        self.predictionType = predictionType
        self.scheduler = scheduler
        let slices = target.permuted(plane.permutation(for: target.grid))
        let end = [Float](repeating: -1, count: radius * slices.shape.x * slices.shape.y)
        extendedTarget = end + slices.voxels + end
    }

    func predict(_ windows: SliceWindows, at t: Int, conditioning: Void) async throws -> [Float] {
        (0..<windows.count).flatMap { index -> [Float] in
            let start = (windows.indices.lowerBound + index) * windows.rows * windows.columns
            let x0 = Array(extendedTarget[start..<start + windows.valuesPerWindow])
            let (x, y) = (Array(windows.noisy(index)), Array(windows.source(index)))
            // The noise that is in x_t, from which the training target follows.
            let path = scheduler.path.coefficients(at: t)
            let deviation = Float(path.variance.squareRoot())
            let noise = x.indices.map {
                (x[$0] - Float(path.target) * x0[$0] - Float(path.source) * y[$0]) / deviation
            }
            return scheduler.path.trainingTarget(of: predictionType, at: t)(
                noisy: x, target: x0, source: y, noise: noise)
        }
    }
}

/// A nonlinear function of all of a window, with a delay that makes batches arrive out of order.
struct MixingDenoiser: SliceDenoiser {
    var plane = SlicePlane.axial
    var radius: Int
    var predictionType = PredictionType.gradient
    var delays = false

    func predict(_ windows: SliceWindows, at t: Int, conditioning: Void) async throws -> [Float] {
        if delays {
            try await Task.sleep(for: .microseconds((windows.indices.lowerBound &* 7919 &+ t) % 5 * 300))
        }
        return (0..<windows.count).flatMap {
            predict(
                Array(windows.noisy($0)), Array(windows.source($0)), slice: windows.rows * windows.columns,
                at: t)
        }
    }

    /// The prediction for one window, of slices of so many voxels.
    func predict(_ x: [Float], _ y: [Float], slice: Int, at t: Int) -> [Float] {
        // Each plane's denoiser is another.
        let offset = Float(t) * 1e-4 + Float(plane.worldAxis) * 0.01
        return x.indices.map { voxel in
            let neighbour = x[(voxel + slice) % x.count]
            return 0.3 * x[voxel] - 0.2 * y[voxel] + 0.1 * neighbour * y[voxel] + offset
        }
    }
}

/// Runs any closure as a denoiser.
struct ClosureDenoiser: SliceDenoiser {
    var radius = 1
    var predictionType = PredictionType.sample
    let body: @Sendable (SliceWindows, Int) async throws -> [Float]

    func predict(_ windows: SliceWindows, at t: Int, conditioning: Void) async throws -> [Float] {
        try await body(windows, t)
    }
}
