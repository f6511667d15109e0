import Preprocessing
import SliceSampling
import StyleKeys
import Volumes

/// The whole path from a source volume to the translated volume on the source's own grid.
///
/// ```swift
/// let translator = VolumeTranslator(
///     preprocessing: .brain(spacing: 1),
///     sampler: SliceSampler(
///         scheduler: BrownianBridge(steps: 50), denoiser: UNetDenoiser(network),
///         corrector: ScoreCorrector(steps: 1, stepSize: 0.5)))
/// let mri = try await translator.translate(ct, style: StyleKey(of: reference))
/// try mri.write(to: "mri.nii.gz")
/// ```
public struct VolumeTranslator<Denoiser: StyledDenoiser>: Sendable {
    /// Brings the source to the network's spacing, and intensities from 0 to 1. Slices are then padded to the
    /// sizes that the denoiser takes.
    public var preprocessing: PreprocessingPipeline

    /// Samples the prepared volume.
    public var sampler: SliceSampler<Denoiser>

    /// A translator.
    public init(preprocessing: PreprocessingPipeline, sampler: SliceSampler<Denoiser>) {
        self.preprocessing = preprocessing
        self.sampler = sampler
    }

    /// The source translated to a style.
    ///
    /// - Parameters:
    ///   - source: any intensities; the least of them is background.
    ///   - style: the style of the target modality.
    ///   - progress: called after every batch of windows.
    /// - Returns: a volume on the source's grid, with intensities from 0 to 1. The source's background
    ///   (`ForegroundMask`) is zero.
    /// - Throws: what preparing, conditioning or sampling throws; `CancellationError` when the task is
    ///   cancelled.
    public func translate(
        _ source: Volume, style: StyleKey, progress: (@Sendable (SamplingProgress) -> Void)? = nil
    ) async throws -> Volume {
        let planes =
            [(sampler.plane, sampler.denoiser)] + sampler.alternatingPlanes.map { ($0.plane, $0.denoiser) }
        let pipeline = planes.reduce(preprocessing) { pipeline, view in
            pipeline.appending(PadToMultiple(of: view.1.sizeMultiple, plane: view.0))
        }
        let prepared = try pipeline.apply(to: source)
        let input = prepared.volume.map { 2 * $0 - 1 }
        let sampled = try await sampler.sample(
            from: input, conditioning: sampler.denoiser.conditioning(for: input, style: style),
            progress: progress)
        let translated = sampled.map { min(max(($0 + 1) / 2, 0), 1) }
        let restored = try prepared.restoreGrid(of: translated)
        let cleared = ForegroundMask(of: source).clearingBackground(of: restored)
        // Reordering axes and back may round the affine; the result lies on the source's grid itself.
        return Volume(grid: source.grid, voxels: cleared.voxels)
    }
}
