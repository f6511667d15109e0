// Samples a mixture of two normal distributions with every process, in every way, and checks what comes out.
//
// A denoiser that predicts the exact posterior mean takes the place of a network, so that any error left is that
// of the sampling: a deterministic run is compared with one through all timesteps, a stochastic run by the mean and
// the standard deviation of its voxels, each of which is one sample.
import BridgeDiffusion
import Foundation
import SliceSampling

let mixture = Mixture(components: [
    .init(weight: 0.3, mean: -0.6, deviation: 0.2), .init(weight: 0.7, mean: 0.4, deviation: 0.25),
])
let grid = VoxelGrid(shape: [16, 16, 16])
let source = Volume(grid: grid, voxels: NoiseField(seed: 7).slice(0, rows: 256, columns: 16, timestep: 0))

/// A process, at timesteps that suit it, few or all.
struct Process {
    let name: String
    let scheduler: (_ steps: Int) -> any GaussianPathScheduler
}

// A bridge gains the most of its target close to the end, so that its steps grow shorter towards it.
let processes = [
    Process(name: "Brownian bridge") {
        BrownianBridge(steps: $0, spacing: .karras(rho: 3), stepRule: .marginalPreserving)
    },
    Process(name: "symmetric bridge") { SymmetricBridge(steps: $0, betaMax: 1) },
    Process(name: "diffusion") { GaussianDiffusion(steps: $0) },
    Process(name: "rectified flow") { RectifiedFlow(steps: $0) },
]

func sample(_ scheduler: any GaussianPathScheduler, order: StepOrder = .first, eta: Double = 0) async throws
    -> [Float]
{
    try await SliceSampler(
        scheduler: scheduler, denoiser: MixtureDenoiser(mixture: mixture, scheduler: scheduler), order: order,
        eta: eta, noise: NoiseField(seed: 1), batchSize: 10
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

/// Prints one line, and remembers what is wrong with it.
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
    let reference = try await sample(process.scheduler(1000), order: .second)
    let first = distance(try await sample(process.scheduler(few)), reference)
    let second = distance(try await sample(process.scheduler(few), order: .second), reference)
    report(
        process, "deterministic, first", steps: few, String(format: "%.4f of the whole run", first),
        holds: first < 0.1)
    report(
        process, "deterministic, second", steps: few, String(format: "%.4f of the whole run", second),
        holds: second < first)

    let many = 200
    let samples = moments(try await sample(process.scheduler(many), eta: 1))
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
