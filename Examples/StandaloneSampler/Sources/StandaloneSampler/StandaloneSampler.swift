import Foundation
import SliceSampling

/// Samples a synthetic volume with a custom denoiser, and checks the result against theory.
///
/// It imports the sampler only: no file format, no network, no system library.
@main
struct StandaloneSampler {
    static func main() async throws {
        let denoiser = WindowMeanDenoiser(signal: 0.09, noise: 0.04)
        let (clean, noisy) = volumes(signal: denoiser.signal, noise: denoiser.noise)

        let scheduler = Scheduler(BrownianBridge(), steps: 20)
        // Independent windows: the mean of three slices.
        let independent = SliceSampler(scheduler: scheduler, denoiser: denoiser, aggregation: nil)
        // Each slice is the mean over the three windows that contain it: five slices with weights 1, 2, 3, 2, 1.
        let aligned = SliceSampler(scheduler: scheduler, denoiser: denoiser, corrector: ScoreCorrector())

        let checks = [
            Check("source", noisy, weights: [1], shrinkage: 1, denoiser),
            Check(
                "independent windows", try await independent.sample(from: noisy),
                weights: [1, 1, 1].map { $0 / 3 }, shrinkage: denoiser.shrinkage, denoiser),
            Check(
                "aligned trajectories (ISTA)", try await aligned.sample(from: noisy),
                weights: [1, 2, 3, 2, 1].map { $0 / 9 }, shrinkage: denoiser.shrinkage, denoiser),
        ]

        print("Mean squared error             expected  measured")
        var allHold = true
        for check in checks {
            let measured = meanSquaredError(check.volume, clean)
            let holds = abs(measured - check.expected) < 0.05 * check.expected
            allHold = allHold && holds
            print(
                check.name.padding(toLength: 30, withPad: " ", startingAt: 0),
                String(
                    format: "%.5f   %.5f  %@", check.expected, measured,
                    holds ? "as expected" : "NOT AS EXPECTED"))
        }
        guard allHold else {
            FileHandle.standardError.write(Data("Error: the result differs from theory.\n".utf8))
            exit(1)
        }
    }

    /// A volume that is constant along its columns, and the same volume with noise in every voxel.
    static func volumes(signal: Float, noise: Float) -> (clean: Volume, noisy: Volume) {
        var generator = SplitMix64(state: 1)
        let grid = VoxelGrid(shape: [64, 64, 40])
        var clean = Volume(grid: grid)
        var noisy = clean
        for y in 0..<64 {
            for x in 0..<64 {
                let value = generator.value(variance: signal)
                for z in 0..<40 {
                    clean[x, y, z] = value
                    noisy[x, y, z] = value + generator.value(variance: noise)
                }
            }
        }
        return (clean, noisy)
    }

    /// The error over the slices that are not affected by the background beyond the ends of the volume.
    static func meanSquaredError(_ volume: Volume, _ reference: Volume) -> Float {
        let inside = 2..<volume.shape.z - 2
        let squares = zip(volume.slices(inside), reference.slices(inside)).map { ($0 - $1) * ($0 - $1) }
        return squares.reduce(0, +) / Float(squares.count)
    }
}

/// A volume and its expected error.
struct Check {
    let name: String
    let volume: Volume
    let expected: Float

    /// The error of a shrunk weighted mean of slices: the lost signal and the remaining noise.
    init(
        _ name: String, _ volume: Volume, weights: [Float], shrinkage: Float, _ denoiser: WindowMeanDenoiser
    ) {
        (self.name, self.volume) = (name, volume)
        let lost = (1 - shrinkage) * (1 - shrinkage) * denoiser.signal
        let kept = shrinkage * shrinkage * denoiser.noise * weights.reduce(0) { $0 + $1 * $1 }
        expected = lost + kept
    }
}

/// A reproducible random number generator.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A uniformly distributed value with mean zero.
    mutating func value(variance: Float) -> Float {
        let limit = (3 * variance).squareRoot()
        return Float.random(in: -limit...limit, using: &self)
    }
}
