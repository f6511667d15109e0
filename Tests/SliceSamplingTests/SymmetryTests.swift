import SliceSampling
import TestSupport
import Testing

/// With a denoiser that commutes with a motion of the volume, sampling commutes with it too.
struct SymmetryTests {
    private func sampler(
        _ generator: inout SeededGenerator, starting start: SamplingStart?
    ) -> SliceSampler<SymmetricDenoiser> {
        let process = PathProcess.allCases.randomElement(using: &generator)!
        let scheduler = Scheduler(
            Restarted(base: process.path(), start: start),
            steps: generator.size(in: 2...6), spacing: .uniform,
            // Noise has no symmetry: where sampling starts at the source, none is added.
            solver: start == nil
                ? generator.solver() : [.published(), .ddim(), .twoPoint].randomElement(using: &generator)!)
        var sampler = generator.sampler(scheduler) { _, radius in SymmetricDenoiser(radius: radius) }
        (sampler.plane, sampler.alternatingPlanes) = (.axial, [])
        if sampler.corrector != nil {
            sampler.corrector = ScoreCorrector(
                steps: 1, stepSize: Double.random(in: 0...0.05, using: &generator), isBounded: false)
        }
        return sampler
    }

    @Test func flipsOfRowsAndColumns() async {
        await checkLaw(cases: 200) { generator in
            let source = Volume.random(shape: generator.shape(), using: &generator)
            // Noise has no symmetry, so there is none here: sampling starts at the source.
            let sampler = sampler(&generator, starting: .source)
            let axis = Int.random(in: 0...1, using: &generator)
            let expected = try await sampler.sample(from: source).flipped(axis)
            let found = try await sampler.sample(from: source.flipped(axis))
            if sampler.corrector == nil {
                try #require(found.bits == expected.bits)
            } else {
                // The norm of the score is a sum over the slice, whose order turns round.
                try #require(relativeL2(found.voxels, expected.voxels) < 1e-5)
            }
        }
    }

    @Test func flipsOfSlices() async {
        await checkLaw(cases: 300) { generator in
            let source = Volume.random(shape: generator.shape(), using: &generator)
            var sampler = sampler(&generator, starting: nil)
            sampler.noise.correlation = .shared
            let expected = try await sampler.sample(from: source).flipped(2)
            let found = try await sampler.sample(from: source.flipped(2))
            if sampler.aggregation == nil || sampler.denoiser.radius == 0 {
                try #require(found.bits == expected.bits)
            } else {
                // Windows are added up in their order, which turns round.
                try #require(relativeL2(found.voxels, expected.voxels) < 1e-4)
            }
        }
    }

    @Test func shiftsOverBackground() async {
        await checkLaw(cases: 300) { generator in
            var sampler = sampler(&generator, starting: nil)
            sampler.noise.correlation = .shared
            let radius = sampler.denoiser.radius
            let content = Volume.random(shape: generator.shape(), using: &generator)
            let shift = generator.size(in: 1...5)
            let (before, after) = (2 * radius + generator.size(in: 0...3), 2 * radius + 5)
            func source(_ before: Int, _ after: Int) -> Volume {
                let slice = content.shape.x * content.shape.y
                let background = { [Float](repeating: -1, count: $0 * slice) }
                return Volume(
                    grid: VoxelGrid(
                        shape: [content.shape.x, content.shape.y, before + content.shape.z + after]),
                    voxels: background(before) + content.voxels + background(after))
            }
            let expected = try await sampler.sample(from: source(before, after))
            let found = try await sampler.sample(from: source(before + shift, after - shift))
            let last = expected.shape.z - shift
            try #require(
                Array(found.bits.suffix(found.bits.count / found.shape.z * last))
                    == Array(expected.bits.prefix(expected.bits.count / expected.shape.z * last)))
        }
    }
}

/// Treats the slices, rows and columns on either side alike, and predicts background for background.
private struct SymmetricDenoiser: SliceDenoiser {
    let radius: Int
    let predictionType = PredictionType.sample

    func predict(_ windows: SliceWindows, at t: Int, conditioning: Void) async throws -> [Float] {
        let (rows, columns) = (windows.rows, windows.columns)
        return (0..<windows.count).flatMap { index -> [Float] in
            let (x, y) = (Array(windows.noisy(index)), Array(windows.source(index)))
            func neighbours(_ voxel: Int, _ place: Int, of count: Int, stride: Int) -> Float {
                (place > 0 ? x[voxel - stride] : 0) + (place + 1 < count ? x[voxel + stride] : 0)
            }
            return x.indices.map { voxel in
                let (column, row) = (voxel % columns, voxel / columns % rows)
                let slice = voxel / (rows * columns)
                let within =
                    neighbours(voxel, column, of: columns, stride: 1)
                    + neighbours(voxel, row, of: rows, stride: columns)
                let across = neighbours(voxel, slice, of: windows.slicesPerWindow, stride: rows * columns)
                let sum = 0.3 * x[voxel] + 0.1 * within + 0.2 * across + Float(t) * 1e-4
                return -1 + (y[voxel] + 1) * (sum / (1 + abs(sum)))
            }
        }
    }
}

/// A path that may start elsewhere.
private struct Restarted: GaussianPath {
    let base: any GaussianPath
    let start: SamplingStart

    init(base: any GaussianPath, start: SamplingStart?) {
        (self.base, self.start) = (base, start ?? base.start)
    }

    var trainingTimesteps: Int { base.trainingTimesteps }
    func coefficients(at t: Int) -> PathCoefficients { base.coefficients(at: t) }
    func velocity(at t: Int) -> PathCombination { base.velocity(at: t) }
}
