import TestSupport
import Testing
import VoxelBridge

/// How the denoiser without a network levels slices.
struct HistogramMatchingDenoiserTests {
    private let anatomy = Volume.brainPhantom(on: VoxelGrid(shape: [30, 36, 24], spacing: [2, 2, 2]))
        .map { 2 * $0 / 120 - 1 }

    /// The anatomy with the foreground of each slice multiplied by a gain of its own.
    private func flickering(_ generator: inout SeededGenerator) -> Volume {
        var volume = anatomy
        let length = volume.shape.x * volume.shape.y
        for slice in 0..<volume.shape.z {
            let gain = Float.random(in: 0.8...1, using: &generator)
            for index in slice * length..<(slice + 1) * length {
                volume.voxels[index] = (volume.voxels[index] + 1) * gain - 1
            }
        }
        return volume
    }

    private func sample(_ source: Volume, radius: Int, style: StyleKey) async throws -> Volume {
        let denoiser = HistogramMatchingDenoiser(radius: radius)
        let sampler = SliceSampler(scheduler: Scheduler(BrownianBridge(), timesteps: [0]), denoiser: denoiser)
        return try await sampler.sample(
            from: source, conditioning: denoiser.conditioning(for: source, style: style))
    }

    private func unit(_ volume: Volume) -> Volume { volume.map { ($0 + 1) / 2 } }

    @Test func slicesAreBroughtToOneLevel() async {
        await checkLaw(cases: 20) { generator in
            let source = flickering(&generator)
            let style = try StyleKey(of: unit(anatomy), intensities: RescaleIntensity(.unit))
            let flicker = SliceConsistency(.error, plane: .axial)
            let plain = try flicker(await sample(source, radius: 0, style: style), against: anatomy)
            try #require(plain > 0.01, "the slices do not differ enough to tell: \(plain)")
            for radius in 1...2 {
                let levelled = try flicker(await sample(source, radius: radius, style: style), against: anatomy)
                try #require(levelled < 0.6 * plain, "\(levelled) of \(plain)")
            }
        }
    }

    @Test func levelSlicesStayAsTheyAre() async throws {
        let style = try StyleKey(of: unit(anatomy), intensities: RescaleIntensity(.unit))
        let result = try await sample(anatomy, radius: 1, style: style)
        // Anatomy differs between slices, and so do the means used for levelling.
        #expect(relativeL2(unit(result).voxels, unit(anatomy).voxels) < 0.06)
        #expect(zip(result.voxels, anatomy.voxels).allSatisfy { $1 > -1 || $0 == -1 })
    }

    @Test func aWindowOfOneSliceIsTheMapAlone() async throws {
        let style = try StyleKey(of: unit(anatomy).map { $0 * $0 }, intensities: RescaleIntensity(.unit))
        let map = try HistogramMatchingDenoiser(radius: 0).conditioning(for: anatomy, style: style)
        let result = try await sample(anatomy, radius: 0, style: style)
        #expect(result.voxels == anatomy.voxels.map { map($0) })
    }

    /// A slice that shares too little with its neighbours keeps its level.
    @Test func fewCommonVoxelsLevelNothing() async throws {
        var source = Volume(grid: VoxelGrid(shape: [12, 12, 3]), repeating: -1)
        for index in 0..<90 { source.voxels[index] = 0.2 }
        for index in 144..<144 + 90 { source.voxels[index] = 0.6 }
        let style = try StyleKey(of: unit(source), intensities: RescaleIntensity(.unit))
        let map = try HistogramMatchingDenoiser().conditioning(for: source, style: style)
        let result = try await sample(source, radius: 1, style: style)
        #expect(result.voxels == source.voxels.map { map($0) })
    }
}
