/// Published preparations.
///
/// They start from skull-stripped volumes with a background of one intensity, in any orientation and spacing.
extension PreprocessingPipeline {
    /// The steps for a brain: intensities in [0, 1] with background at 0, RAS orientation, an isotropic spacing, the
    /// bounding box of the foreground.
    ///
    /// - Parameters:
    ///   - spacing: distance between voxels in millimetres, above zero.
    ///   - intensities: how intensities are scaled, and what is background.
    ///   - antialiasing: what is done first along axes that have finer voxels.
    ///   - shape: number of voxels to crop or pad the box to, about its centre; `nil` to keep the box.
    public static func brain(
        spacing: Double = 1, intensities: RescaleIntensity = RescaleIntensity(),
        antialiasing: Antialiasing = .gaussian, shape: SIMD3<Int>? = nil
    ) -> PreprocessingPipeline {
        var steps: [any VolumeTransform] = [
            intensities, Reorient(to: .ras), Resample(spacing: spacing, antialiasing: antialiasing),
            CropToForeground(),
        ]
        if let shape { steps.append(CropOrPad(to: shape, fill: 0)) }
        return PreprocessingPipeline(steps)
    }

    /// Brain CT to MRI: ``brain(spacing:intensities:antialiasing:shape:)`` with 160 x 160 x 160 voxels of 1 mm (Choo et al.,
    /// MICCAI 2024, arXiv 2407.05059).
    public static func brainCTToMRI(
        intensities: RescaleIntensity = RescaleIntensity()
    ) -> PreprocessingPipeline {
        brain(intensities: intensities, shape: [160, 160, 160])
    }

    /// FLAIR to T1 in BraTS: ``brain(spacing:intensities:antialiasing:shape:)`` with 176 x 176 x 160 voxels of 1 mm (Choo
    /// et al.).
    public static func brats(intensities: RescaleIntensity = RescaleIntensity()) -> PreprocessingPipeline {
        brain(intensities: intensities, shape: [176, 176, 160])
    }

    /// The geometry for the 3-D latent translator (Kim and Park, WACV 2024): RAS, 1 mm, the box of the voxels above zero,
    /// cropped or padded with zeros. Intensities are scaled afterwards, each modality on its own.
    ///
    /// - Parameter shape: 144 x 192 x 144 as in the published code; the paper has 192 x 192 x 144, and 256 x 160 x 224
    ///   for IXI.
    public static func latentBrain(shape: SIMD3<Int> = [144, 192, 144]) -> PreprocessingPipeline {
        PreprocessingPipeline([
            Reorient(to: .ras), Resample(spacing: 1), CropToForeground(above: 0), CropOrPad(to: shape, fill: 0),
        ])
    }
}
