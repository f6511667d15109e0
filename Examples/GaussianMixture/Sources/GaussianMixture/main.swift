// Samples a mixture of two normal distributions on every path, with every solver that preserves its marginals, and
// checks the results.
//
// The denoiser predicts the exact posterior mean, so that the only error is that of sampling. A deterministic run is
// compared with one through all timesteps, a stochastic run by the mean and the standard deviation of its voxels, each
// of which is one sample.
import BridgeDiffusion
import Foundation
import SliceSampling

let mixture = Mixture(components: [
    .init(weight: 0.3, mean: -0.6, deviation: 0.2), .init(weight: 0.7, mean: 0.4, deviation: 0.25),
])
let grid = VoxelGrid(shape: [16, 16, 16])
let source = Volume(grid: grid, voxels: NoiseField(seed: 7).slice(0, rows: 256, columns: 16, timestep: 0))

/// A process and a suitable spacing of timesteps.
struct Process {
    let name: String
    let path: any GaussianPath
    var spacing: TimestepSpacing?
}

let processes = [
    // The target's weight grows fastest near the end of this bridge, which needs shorter steps there.
    Process(name: "Brownian bridge", path: BrownianBridge(), spacing: .karras()),
    Process(name: "symmetric bridge", path: SymmetricBridge(betaMax: 1)),
    Process(name: "diffusion", path: GaussianDiffusion()),
    Process(name: "rectified flow", path: RectifiedFlow()),
]

func sample(_ process: Process, steps: Int, solver: any Solver) async throws -> [Float] {
    try await SliceSampler(
        scheduler: Scheduler(process.path, steps: steps, spacing: process.spacing, solver: solver),
        denoiser: MixtureDenoiser(mixture: mixture, path: process.path), noise: NoiseField(seed: 1),
        batchSize: 10
    ).sample(from: source).voxels
}

func rootMeanSquare(_ values: some Collection<Double>) -> Double {
    (values.reduce(0) { $0 + $1 * $1 } / Double(values.count)).squareRoot()
}

func distance(_ values: [Float], _ reference: [Float]) -> Double {
    rootMeanSquare(zip(values, reference).map { Double($0) - Double($1) })
}

func moments(_ values: [Float]) -> (mean: Double, deviation: Double) {
    let mean = values.reduce(0) { $0 + Double($1) } / Double(values.count)
    return (mean, rootMeanSquare(values.map { Double($0) - mean }))
}

func column(_ text: String, _ width: Int) -> String {
    text.padding(toLength: width, withPad: " ", startingAt: 0)
}

var failures: [String] = []

/// Prints one line, and records a failure.
@MainActor
func report(_ process: Process, _ way: String, steps: Int, _ result: String, holds: Bool) {
    let line = column(process.name, 18) + column(way, 22) + column("\(steps)", 13) + result
    print(line + (holds ? "" : "   <- off"))
    if !holds { failures.append("\(process.name), \(way)") }
}

print(
    String(
        format: "A mixture of mean %.3f and standard deviation %.3f in %d voxels.\n", mixture.mean,
        mixture.deviation, grid.count))
print(column("process", 18) + column("steps", 22) + column("evaluations", 13) + "error")
for process in processes {
    let few = 40
    let reference = try await sample(process, steps: 1000, solver: .twoPoint)
    let first = distance(try await sample(process, steps: few, solver: .ddim()), reference)
    let second = distance(try await sample(process, steps: few, solver: .twoPoint), reference)
    report(
        process, "deterministic, first", steps: few, String(format: "%.4f of the whole run", first),
        holds: first < 0.1)
    report(
        process, "deterministic, second", steps: few, String(format: "%.4f of the whole run", second),
        holds: second < first)

    let many = 200
    let samples = moments(try await sample(process, steps: many, solver: .ancestral))
    let (mean, deviation) = (samples.mean - mixture.mean, samples.deviation - mixture.deviation)
    report(
        process, "ancestral (eta = 1)", steps: many,
        String(format: "%+.4f of the mean, %+.4f of the deviation", mean, deviation),
        holds: abs(mean) < 0.03 && abs(deviation) < 0.03)
}
if !failures.isEmpty {
    print("\nOff: " + failures.joined(separator: "; "))
    exit(1)
}
