public import BridgeDiffusion
public import DiffusionSampling
public import Preprocessing
public import SliceSampling
public import StyleKeys
public import Volumes
import VoxelSupport

/// Translates a volume, and returns the result on the source's own grid.
///
/// A network's own settings are the common case; the module `ReferenceUNet` makes a translator of a network's file:
///
/// ```swift
/// let translator = try VolumeTranslator(UNet(weights: "ct2mri.safetensors"))
/// let mri = try await translator.translate(ct, style: translator.style(of: reference))
/// ```
///
/// Any styled denoiser can be used with any sampler:
///
/// ```swift
/// let harmoniser = try VolumeTranslator(HistogramMatchingDenoiser())
/// let harmonised = try await harmoniser.translate(t1, style: StyleKey(of: reference))
/// ```
public struct VolumeTranslator<Denoiser: StyledDenoiser>: Sendable {
    /// Resamples the source to the network's spacing, with intensities from 0 to 1. Slices are then padded to the sizes that
    /// the denoiser takes.
    public var preprocessing: PreprocessingPipeline

    /// Samples the prepared volume. Its clipping is the translator's.
    public var sampler: SliceSampler<Denoiser>

    /// Whether estimates of x_0 are clamped to the range of intensities, -1 to 1, at every step, as the public
    /// implementation of the method does when it tests.
    public var clipsEstimates: Bool

    /// A translator.
    ///
    /// - Parameters:
    ///   - preprocessing: resamples the source to the network's spacing, with intensities from 0 to 1.
    ///   - sampler: samples the prepared volume.
    ///   - clipsEstimates: whether estimates are clamped to the range of intensities at every step.
    public init(
        preprocessing: PreprocessingPipeline, sampler: SliceSampler<Denoiser>, clipsEstimates: Bool = true
    ) {
        (self.preprocessing, self.sampler, self.clipsEstimates) = (preprocessing, sampler, clipsEstimates)
    }

    /// A translator by a denoiser's own settings (`StyledDenoiser.settings`), or the published ones.
    ///
    /// - Parameters:
    ///   - denoiser: the denoiser.
    ///   - steps: S, the number of timesteps visited; `nil` for 50, or for 1 where the denoiser's predictions do not
    ///     depend on x_t.
    ///   - corrector: what is done after each step but the last; `nil` for co-prediction alone.
    ///   - paths: types of a caller's own paths, which the settings may name.
    /// - Throws: `StoredPathError` where the settings name a path that is not known.
    public init(
        _ denoiser: Denoiser, steps: Int? = nil, corrector: (any Corrector)? = ScoreCorrector(),
        paths: [any StorablePath.Type] = []
    ) throws {
        let settings = denoiser.settings ?? TranslationSettings()
        let path = try settings.process.path(among: paths)
        let scheduler =
            steps == nil && !denoiser.dependsOnNoisy
            ? Scheduler(path, timesteps: [0]) : Scheduler(path, steps: steps ?? 50)
        self.init(
            preprocessing: .brain(
                spacing: settings.spacing, intensities: RescaleIntensity(settings.source),
                antialiasing: settings.antialiasing),
            sampler: SliceSampler(
                scheduler: scheduler, denoiser: denoiser, plane: settings.plane, corrector: corrector))
    }

    /// The source translated to a style.
    ///
    /// - Parameters:
    ///   - source: the source, with any intensities: ``preprocessing`` scales them.
    ///   - style: the style of the target modality.
    ///   - mask: the foreground of the source, on its grid, such as the brain in a head; `nil` for all but the background.
    ///   - progress: called after every batch of windows.
    ///   - warn: called with what may be wrong with the source's intensities, before anything is sampled.
    /// - Returns: a volume on the source's grid, with intensities from 0 to 1. The background of the source as prepared
    ///   (`PreparedVolume.foreground`) is zero.
    /// - Throws: what preparing, conditioning or sampling throws; `CancellationError` when the task is cancelled.
    public func translate(
        _ source: Volume, style: StyleKey, mask: ForegroundMask? = nil,
        progress: (@Sendable (SamplingProgress) -> Void)? = nil, warn: ((IntensityWarning) -> Void)? = nil
    ) async throws -> Volume {
        let job = try TranslationJob(self, source: source, style: style, mask: mask)
        job.warnings.forEach { warn?($0) }
        return try job.finish(
            await job.sampler.sample(
                from: job.input, conditioning: job.conditioning, progress: progress))
    }

    /// A translation step by step: the sequence has one state for each timestep visited, the last with the result.
    ///
    /// A state can be written, and a translation that was killed resumed from it to the same bits:
    ///
    /// ```swift
    /// let saved = try? SamplingState<SliceStack>(contentsOf: checkpoint)
    /// for try await state in try translator.states(of: ct, style: style, resuming: saved) {
    ///     try state.sampling.write(to: checkpoint)
    ///     if state.isComplete { mri = try state.volume() }
    /// }
    /// ```
    ///
    /// - Parameters:
    ///   - source: as for ``translate(_:style:mask:progress:warn:)``.
    ///   - style: the style of the target modality.
    ///   - mask: as for ``translate(_:style:mask:progress:warn:)``.
    ///   - saved: a state of the same translation to resume; the sequence begins after it.
    ///   - progress: called after every batch of windows.
    ///   - warn: as for ``translate(_:style:mask:progress:warn:)``.
    /// - Throws: what preparing or conditioning throws; `SamplingStateError` where the saved state belongs to another
    ///   translation: another source, style, model or setting.
    public func states(
        of source: Volume, style: StyleKey, mask: ForegroundMask? = nil,
        resuming saved: SamplingState<SliceStack>? = nil,
        progress: (@Sendable (SamplingProgress) -> Void)? = nil, warn: ((IntensityWarning) -> Void)? = nil
    ) throws -> TranslationStates<Denoiser> {
        let job = try TranslationJob(self, source: source, style: style, mask: mask)
        job.warnings.forEach { warn?($0) }
        let states = try job.sampler.states(
            from: job.input, conditioning: job.conditioning, resuming: saved,
            settings: [RunSetting(fingerprintOf: style)] + sampler.denoiser.runSettings, progress: progress)
        return TranslationStates(states: states) { try job.finish($0) }
    }

    /// The style of a volume of the target modality, scaled as the model's targets were, and resampled as sources are.
    ///
    /// - Parameters:
    ///   - reference: a volume in the style wanted.
    ///   - bins: number of bins, as the network has them; the published networks have 128.
    ///   - mask: the foreground of the volume, on its grid; `nil` for all but the background.
    /// - Throws: `StyleKeyError`.
    public func style(
        of reference: Volume, bins: Int = 128, mask: ForegroundMask? = nil
    ) throws(StyleKeyError) -> StyleKey {
        let rule = (sampler.denoiser.settings ?? TranslationSettings()).target
        return try StyleKey(
            of: reference, bins: bins, intensities: RescaleIntensity(rule), mask: mask,
            resampling: preprocessing.transforms.lazy.compactMap { $0 as? Resample }.first)
    }

    /// Where the translator differs from what its model says that it was trained for, as sentences; empty where it does
    /// not, or where the model says nothing. A program that overrides a model's settings should show them.
    public var mismatches: [String] {
        guard let trained = sampler.denoiser.settings else { return [] }
        var mismatches: [String] = []
        func compare<Value: Equatable>(_ name: String, _ used: Value, _ expected: Value) {
            guard used != expected else { return }
            mismatches.append("the model was trained with \(name) \(expected), but is used with \(used)")
        }
        if let path = try? trained.process.path() {
            let used = sampler.scheduler.path
            compare("a process whose number of timesteps is", used.trainingTimesteps, path.trainingTimesteps)
            let timesteps = 0..<min(used.trainingTimesteps, path.trainingTimesteps)
            if timesteps.contains(where: { used.coefficients(at: $0) != path.coefficients(at: $0) }) {
                mismatches.append(
                    "the model was trained with another process (\(trained.process.kind)) or other coefficients"
                )
            }
        } else if let used = sampler.scheduler.path as? any StorablePath {
            compare("the process", type(of: used).kind, trained.process.kind)
        }
        compare(
            "the prediction type", sampler.denoiser.predictionType.rawValue, trained.predictionType.rawValue)
        compare("the plane", sampler.plane.rawValue, trained.plane.rawValue)
        for case let resample as Resample in preprocessing.transforms {
            compare("a spacing in mm of", resample.spacing, trained.spacing)
            compare("the anti-aliasing", resample.antialiasing.rawValue, trained.antialiasing.rawValue)
        }
        if let intensities = preprocessing.intensities {
            compare("sources scaled by", "\(intensities.rule)", "\(trained.source)")
        }
        return mismatches
    }
}

extension RunSetting {
    /// The fingerprint of a style.
    package init(fingerprintOf style: StyleKey) {
        var fingerprint = Fingerprint()
        fingerprint.combine(style.tokens)
        self.init("fingerprint of the style", String(fingerprint.value, radix: 16))
    }
}

/// A source that has been prepared, and the way back from what is sampled for it.
private struct TranslationJob<Denoiser: StyledDenoiser>: Sendable {
    let sampler: SliceSampler<Denoiser>
    let input: Volume
    let conditioning: Denoiser.Conditioning
    private let grid: VoxelGrid
    private let prepared: PreparedVolume
    private let foreground: ForegroundMask

    var warnings: [IntensityWarning] { prepared.warnings }

    init(
        _ translator: VolumeTranslator<Denoiser>, source: Volume, style: StyleKey, mask: ForegroundMask?
    ) throws {
        var sampler = translator.sampler
        sampler.clip = translator.clipsEstimates ? -1...1 : nil
        let planes =
            [(sampler.plane, sampler.denoiser)] + sampler.alternatingPlanes.map { ($0.plane, $0.denoiser) }
        let pipeline = planes.reduce(translator.preprocessing) { pipeline, view in
            pipeline.appending(PadToMultiple(of: view.1.sizeMultiple, plane: view.0, fill: 0))
        }
        prepared = try pipeline.apply(to: source, mask: mask)
        // A pipeline that scales nothing takes intensities as they are.
        foreground = prepared.foreground ?? mask ?? ForegroundMask(of: source)
        input = prepared.volume.scaledToNetworkRange()
        conditioning = try sampler.denoiser.conditioning(for: input, style: style)
        (grid, self.sampler) = (source.grid, sampler)
    }

    /// The translation on the source's own grid.
    func finish(_ sampled: Volume) throws -> Volume {
        let translated = sampled.scaledToUnitRange().map { min(max($0, 0), 1) }
        let restored = try prepared.restoreGrid(of: translated)
        let cleared = foreground.clearingBackground(of: restored)
        // Reordering axes and back may round the affine; the result lies on the source's grid itself.
        return Volume(grid: grid, voxels: cleared.voxels)
    }
}

/// Where a translation stands after a step.
public struct TranslationState: Sendable {
    /// The state of sampling, by which the translation is resumed.
    public let sampling: SamplingState<SliceStack>

    private let finish: @Sendable (Volume) throws -> Volume

    init(_ sampling: SamplingState<SliceStack>, finish: @escaping @Sendable (Volume) throws -> Volume) {
        (self.sampling, self.finish) = (sampling, finish)
    }

    /// Whether the last step has been made. ``volume()`` is then the result.
    public var isComplete: Bool { sampling.isComplete }

    /// What would be the result if this step were the last, on the source's grid, with intensities from 0 to 1. O(n).
    public func volume() throws -> Volume { try finish(sampling.estimate.volume) }
}

/// The states of a translation, one after each step.
public struct TranslationStates<Denoiser: StyledDenoiser>: AsyncSequence, Sendable {
    let states: SamplingStates<CoPrediction<Denoiser>>
    let finish: @Sendable (Volume) throws -> Volume

    /// A translation from its start, or from the state that it resumes.
    public func makeAsyncIterator() -> Iterator {
        Iterator(states: states.makeAsyncIterator(), finish: finish)
    }

    /// Makes a step for each state that is asked for.
    public struct Iterator: AsyncIteratorProtocol {
        var states: SamplingStates<CoPrediction<Denoiser>>.Iterator
        let finish: @Sendable (Volume) throws -> Volume

        /// The state after the next step, or `nil` after the last.
        public mutating func next() async throws -> TranslationState? {
            try await states.next().map { TranslationState($0, finish: finish) }
        }
    }
}
