import Foundation
import SliceSampling
import TestSupport
import Testing

/// The error of a deterministic run, on a target that is a mixture of normals and its exact posterior mean.
struct StepOrderTests {
    /// Root of the mean squared error against a run through all timesteps, in double precision.
    private func errors(
        _ process: PathProcess, _ spacing: TimestepSpacing, steps: [Int]
    ) async throws -> [(first: Double, second: Double)] {
        let all = 20_001
        func scheduler(_ timesteps: [Int], _ solver: any Solver) -> Scheduler {
            // As much noise as in a thousand timesteps, in smaller portions.
            process == .diffusion
                ? Scheduler(
                    GaussianDiffusion(trainingTimesteps: all, schedule: .linear(from: 5e-6, through: 1e-3)),
                    timesteps: timesteps, solver: solver)
                : process.scheduler(timesteps: timesteps, of: all, solver: solver)
        }
        let source = Volume(
            grid: VoxelGrid(shape: [5, 5, 1]), voxels: (0..<25).map { Float($0) / 12 - 1 })
        func sample(_ timesteps: [Int], _ solver: any Solver) async throws -> [Float] {
            let scheduler = scheduler(timesteps, solver)
            return try await SliceSampler(
                scheduler: scheduler, denoiser: MixtureDenoiser(scheduler: scheduler)
            ).sample(from: source).voxels
        }
        let dense = scheduler((0..<all).reversed(), .ddim())
        let noise = NoiseField().slice(0, rows: 5, columns: 5, timestep: all)
        let reference = zip(source.voxels, noise).map { y, noise -> Float in
            let y = Double(y)
            var x = dense.path.start == .source ? y : Double(noise)
            for t in (1..<all).reversed() {
                let step = dense.solver.step(from: t, to: t - 1, after: [], on: dense.path)
                let estimate = MixtureDenoiser.posteriorMean(x, y, dense.path.coefficients(at: t))
                x = step.noisy * x + step.estimates[0] * estimate + step.source * y
            }
            return Float(MixtureDenoiser.posteriorMean(x, y, dense.path.coefficients(at: 0)))
        }
        var errors: [(Double, Double)] = []
        for count in steps {
            let timesteps = spacing.timesteps(count, of: all)
            errors.append(
                (
                    relativeL2(try await sample(timesteps, .ddim()), reference),
                    relativeL2(try await sample(timesteps, .twoPoint), reference)
                ))
        }
        return errors
    }

    @Test(arguments: [
        (PathProcess.brownianBridge, TimestepSpacing.karras(rho: 3)), (.symmetricBridge, .karras(rho: 2)),
        (.diffusion, .uniform), (.diffusion, .karras(rho: 3)), (.rectifiedFlow, .uniform),
        (.rectifiedFlow, .karras(rho: 3)),
    ])
    func theErrorFallsWithTheOrder(process: PathProcess, spacing: TimestepSpacing) async throws {
        let errors = try await errors(process, spacing, steps: [16, 32, 64, 128])
        let table = Comment(rawValue: "first and second order with 16, 32, 64 and 128 steps: \(errors)")
        for (half, whole) in zip(errors.dropFirst(), errors.dropFirst(2)) {
            #expect(half.second < whole.first, table)
        }
        // Eight times the steps: about an eighth of the error in first order, and a sixty-fourth in second.
        #expect((5...12).contains(errors[0].first / errors[3].first), table)
        #expect(errors[0].second / errors[3].second > 20, table)
    }

    @Test(arguments: [PathProcess.symmetricBridge, .diffusion, .rectifiedFlow])
    func aFewEvenStepsOfSecondOrderAreNotLedTooFar(process: PathProcess) async throws {
        // The last of evenly spaced steps is the longest in the logarithm of a_t / s_t.
        for (first, second) in try await errors(process, .uniform, steps: [6, 8, 12, 16, 24, 32]) {
            #expect(second < first)
        }
    }
}

/// The exact posterior mean of a mixture of two normals.
private struct MixtureDenoiser: SliceDenoiser {
    let scheduler: Scheduler
    let radius = 0
    let predictionType = PredictionType.sample

    func predict(_ windows: SliceWindows, at t: Int, conditioning: Void) async throws -> [Float] {
        let path = scheduler.path.coefficients(at: t)
        return (0..<windows.count).flatMap { index in
            zip(windows.noisy(index), windows.source(index)).map { x, y in
                Float(Self.posteriorMean(Double(x), Double(y), path))
            }
        }
    }

    static func posteriorMean(_ x: Double, _ y: Double, _ path: PathCoefficients) -> Double {
        let (weights, means, variance) = ([0.4, 0.6], [-0.8, 0.5], 0.1)
        let spread = path.target * path.target * variance + path.variance
        let offsets = means.map { x - path.source * y - path.target * $0 }
        let shares = zip(weights, offsets).map { $0 * exp(-$1 * $1 / (2 * spread)) }
        let gain = path.target * variance / spread
        return zip(shares, zip(means, offsets)).reduce(0) { $0 + $1.0 * ($1.1.0 + gain * $1.1.1) }
            / shares.reduce(0, +)
    }
}
