import TestSupport
import Testing
import VoxelBridge

/// The whole path on real volumes: a FLAIR that is stored from front to back with odd intensities, a CT, and a
/// CT that was scanned obliquely.
@Suite(.enabled(if: Fixtures.hasData, Fixtures.missingData))
struct RealVolumeTests {
    @Test(arguments: ["subject113_flair", "ct_template_brain_2mm", "ct_head_oblique"])
    func isTranslatedOnItsOwnGrid(name: String) async throws {
        let source = try Volume(contentsOf: Fixtures.data("\(name).nii.gz"))
        let style = try StyleKey(of: Volume(contentsOf: Fixtures.data("colin27_t1_2mm.nii.gz")))
        let translator = VolumeTranslator(
            preprocessing: .brain(spacing: 2),
            sampler: SliceSampler(
                scheduler: Scheduler(BrownianBridge(), timesteps: [0]), denoiser: HistogramMatchingDenoiser()))
        let result = try await translator.translate(source, style: style)

        #expect(result.shape == source.shape)
        #expect(result.grid.affine.largestDifference(from: source.grid.affine) < 1e-4)
        #expect(result.voxels.allSatisfy { (0...1).contains($0) })
        let isForeground = ForegroundMask(of: source).isForeground
        #expect(isForeground.contains(false))
        #expect(zip(result.voxels, isForeground).allSatisfy { $1 || $0 == 0 })
        let before = try StyleKey(of: source).distance(to: style)
        let after = try StyleKey(of: result, intensities: RescaleIntensity(.unit)).distance(to: style)
        #expect(after < 0.5 * before, "\(before) became \(after)")
    }
}
