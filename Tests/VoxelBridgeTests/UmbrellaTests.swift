import Testing
import VoxelBridge

/// One import has all that translation takes: reading, keys, sampling, networks, metrics.
struct UmbrellaTests {
    @Test func oneImportHasThemAll() throws {
        let volume = Volume(grid: VoxelGrid(shape: [4, 4, 4]), voxels: (0..<64).map { Float($0) / 63 })
        #expect(throws: (any Error).self) { try Volume(contentsOf: "/no/such/file.nii") }
        #expect(try StyleKey(of: volume).bins == 128)
        #expect(try PSNR(dataRange: .fixed(1))(volume.map { $0 * 0.9 }, against: volume) > 20)
        #expect(UNetConfiguration.ct2mri.contextWidth == 128)
        let translator = try VolumeTranslator(HistogramMatchingDenoiser(), steps: 3)
        #expect(translator.mismatches.isEmpty)
    }
}
