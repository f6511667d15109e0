public import DiffusionSampling
import VoxelSupport
import NetworkEngine
import Networks
public import TensorFiles
public import Volumes

/// Translates a volume to a target modality through a 3-D latent space, and returns the result on the source's own grid.
///
/// ```swift
/// let translator = try LatentVolumeTranslator(LatentModel(contentsOf: "aldm.safetensors"))
/// let t2 = try await translator.translate(t1, to: "t2")
///
/// let encoded = try await translator.encode(t1)                          // once for many targets
/// for target in ["t2", "flair"] {
///     try await translator.translate(encoded, to: target).write(to: "\(target).nii.gz")
/// }
/// ```
///
/// The source is prepared and encoded to a latent z; the translator makes z' of it, like the target's latent; the denoiser
/// samples the target's latent from noise, seeing z and z' at every step; the decoder makes a volume of it. Where the model
/// has no denoiser, z' is decoded. Kim and Park, WACV 2024.
///
/// The result depends on the source, the model and the settings alone: the same input gives the same bits.
public struct LatentVolumeTranslator: Sendable {
    /// The model.
    public let model: LatentModel

    /// How a source is prepared; nil to take its numbers as they are, within about -1 to 1, on a grid whose extents are
    /// multiples of what the model takes.
    public var preparation: LatentPreparation?

    /// The process, the timesteps visited, and the solver.
    public var scheduler: Scheduler

    /// The noise that sampling starts at, and that steps with fresh noise add.
    public var noise: NoiseField

    /// The noise to start at in place of ``noise``, shaped as a latent, and the noises of each step, to compare with other
    /// software; nil for ``noise``.
    public var givenNoise: (start: Tensor, steps: [Tensor]?)?

    /// Whether a sampled latent is quantised before it is decoded, as latent diffusion's own code does and this method's
    /// public code does not.
    public var requantises = false

    /// Tiles that networks see one at a time; nil for the whole volume at once.
    public var tiling: LatentTiling?

    private let executor = ComputeExecutor()

    /// A translator by a model's own settings.
    ///
    /// - Parameters:
    ///   - model: the model.
    ///   - steps: S, as the public code counts them: see `Scheduler.strided`.
    ///   - eta: the share of fresh noise, 0 to 1: the public code samples with 1; 0 is deterministic after its start.
    ///   - seed: of the noise.
    /// - Throws: `StridedTimestepsError`.
    public init(_ model: LatentModel, steps: Int = 200, eta: Double = 1, seed: UInt64 = 0) throws {
        self.model = model
        preparation = model.configuration.preparation
        scheduler = try .strided(model.configuration.path(), steps: steps, solver: .ddim(eta: eta))
        noise = NoiseField(seed: seed)
    }

    /// A source translated to a target.
    ///
    /// - Parameters:
    ///   - source: a volume of one of the modalities that the model was trained on, background at 0.
    ///   - target: a name of the model's, or an index as text.
    ///   - reference: a volume on the source's grid whose positive voxels give the crop; nil for the source.
    ///   - progress: called after every step.
    /// - Returns: a volume on the source's grid. 0 and 1 are the low and the high percentile of the target's intensities;
    ///   values beyond them are kept. The source's background (`ForegroundMask`), and what lies outside the crop, is 0. Of
    ///   a source that is taken as it is, the decoder's numbers.
    /// - Throws: `LatentTranslationError` where there is no such target or the source does not fit; what sampling throws;
    ///   `CancellationError`.
    public func translate(
        _ source: Volume, to target: String, reference: Volume? = nil,
        progress: (@Sendable (SamplingProgress) -> Void)? = nil
    ) async throws -> Volume {
        _ = try model.target(target)
        return try await translate(encode(source, reference: reference), to: target, progress: progress)
    }

    /// A source's latent, for any number of targets.
    ///
    /// - Parameters:
    ///   - source: as for ``translate(_:to:reference:progress:)``.
    ///   - reference: a volume on the source's grid whose positive voxels give the crop; nil for the source.
    /// - Throws: `LatentTranslationError` where the source does not fit; `CancellationError`.
    public func encode(_ source: Volume, reference: Volume? = nil) async throws -> EncodedVolume {
        try tiling?.validate(for: model.configuration)
        guard let preparation else {
            return EncodedVolume(source, latent: try await latent(of: source))
        }
        let prepared = try preparation.apply(
            to: source, reference: reference, multiple: model.configuration.sizeMultiple)
        return EncodedVolume(
            source, prepared, bounds: preparation.bounds, latent: try await latent(of: prepared.volume))
    }

    private func latent(of volume: Volume) async throws -> Tensor {
        let shape = volume.shape
        let multiple = model.configuration.sizeMultiple
        guard (0..<3).allSatisfy({ shape[$0] % multiple == 0 }) else {
            throw LatentTranslationError.input(
                name: "the volume", found: "\(shape.x) x \(shape.y) x \(shape.z) voxels",
                expected: "multiples of \(multiple) along each axis")
        }
        let tensor = Tensor(shape: [1, 1, shape.z, shape.y, shape.x], values: volume.voxels)
        return try await compute {
            let factor = model.configuration.firstStage.factor
            let features =
                try tiling?.apply(to: [tensor], inputUnit: 1, outputUnit: factor) {
                    try model.features(of: $0[0])
                } ?? model.features(of: tensor)
            return model.quantise(features)
        }
    }

    /// A source that has been encoded, translated to a target.
    ///
    /// - Throws: as ``translate(_:to:reference:progress:)`` does.
    public func translate(
        _ encoded: EncodedVolume, to target: String,
        progress: (@Sendable (SamplingProgress) -> Void)? = nil
    ) async throws -> Volume {
        let target = try model.target(target)
        guard model.configuration.denoiser != nil else {
            return try await decode(translated(encoded.latent, to: target), of: encoded)
        }
        let latent = try await sampler(for: encoded.latent).sample(
            from: conditioningLatents(encoded.latent, target: target), conditioning: [target],
            startingAt: givenNoise?.start, progress: progress)
        return try await decode(sampled: latent, of: encoded)
    }

    /// A translation step by step: the sequence has one state for each step, the last with the result.
    ///
    /// A state can be written, and a translation that was killed resumed from it to the same bits:
    ///
    /// ```swift
    /// let saved = try? SamplingState<Tensor>(contentsOf: checkpoint)
    /// for try await state in try await translator.states(of: encoded, to: "t2", resuming: saved) {
    ///     try state.sampling.write(to: checkpoint)
    ///     if state.isComplete { t2 = try await state.volume() }
    /// }
    /// ```
    ///
    /// - Parameters:
    ///   - encoded: the source.
    ///   - target: a name of the model's, or an index as text.
    ///   - saved: a state of the same translation to resume; the sequence begins after it.
    ///   - progress: called after every step.
    /// - Throws: as ``translate(_:to:reference:progress:)`` does; `LatentTranslationError.input` where the model has no
    ///   denoiser; `SamplingStateError` where the saved state belongs to another translation.
    public func states(
        of encoded: EncodedVolume, to target: String, resuming saved: SamplingState<Tensor>? = nil,
        progress: (@Sendable (SamplingProgress) -> Void)? = nil
    ) async throws -> LatentTranslationStates {
        let target = try model.target(target)
        guard model.configuration.denoiser != nil else {
            throw LatentTranslationError.input(
                name: "the model", found: "a first stage alone, which translates in one step",
                expected: "a denoiser")
        }
        let states = try sampler(for: encoded.latent).states(
            from: await conditioningLatents(encoded.latent, target: target), conditioning: [target],
            startingAt: givenNoise?.start, resuming: saved, settings: [RunSetting("target", target)],
            progress: progress)
        return LatentTranslationStates(states: states) { try await decode(sampled: $0, of: encoded) }
    }

    /// The source's latent made like one of the target's modality.
    ///
    /// - Throws: `LatentTranslationError` where there is no such target; `CancellationError`.
    public func translated(_ latent: Tensor, to target: Int) async throws -> Tensor {
        try await compute {
            let factor = model.configuration.firstStage.factor
            func translate(_ images: [Tensor]) throws -> Tensor { try model.translate(images[0], to: [target]) }
            return try tiling?.apply(to: [latent], inputUnit: factor, outputUnit: factor, translate)
                ?? translate([latent])
        }
    }

    /// The denoiser's inputs besides the noisy latent: the source's latent, where it takes it, and the translated one.
    private func conditioningLatents(_ latent: Tensor, target: Int) async throws -> Tensor {
        let like = try await translated(latent, to: target)
        let takesSource = model.configuration.denoiser?.takesSource ?? true
        var latents = takesSource ? .concatenated([latent, like], axis: 1) : like
        latents.combine(model.configuration.scale, adding: [])
        return latents
    }

    private func sampler(for latent: Tensor) throws -> Sampler<LatentDenoiser> {
        var sampler = Sampler(
            scheduler: scheduler, denoiser: LatentDenoiser(model, tiling: tiling), noise: noise)
        if let (start, steps) = givenNoise {
            for (tensor, name) in [(start, "the noise to start at")]
                + (steps ?? []).map({ ($0, "a step's noise") })
            where tensor.shape != latent.shape {
                throw LatentTranslationError.input(
                    name: name, found: "shape \(tensor.shape)", expected: "\(latent.shape), as the latent has")
            }
            if let steps, steps.count < scheduler.stepCount {
                throw LatentTranslationError.input(
                    name: "the noises of steps", found: "\(steps.count)",
                    expected: "\(scheduler.stepCount), one for each step")
            }
            sampler.stepNoises = steps
        }
        return sampler
    }

    private func decode(sampled latent: Tensor, of encoded: EncodedVolume) async throws -> Volume {
        var latent = latent
        latent.combine(1 / model.configuration.scale, adding: [])
        return try await decode(requantises ? compute { model.quantise(latent) } : latent, of: encoded)
    }

    /// The volume of a latent of a source: quantised or sampled, not scaled.
    ///
    /// - Returns: as ``translate(_:to:reference:progress:)`` does.
    public func decode(_ latent: Tensor, of encoded: EncodedVolume) async throws -> Volume {
        try await encoded.restored(decoded(latent))
    }

    /// The decoder's volume of a latent, `[1, 1, z, y, x]`.
    package func decoded(_ latent: Tensor) async throws -> Tensor {
        try await compute {
            let factor = model.configuration.firstStage.factor
            return try tiling?.apply(to: [latent], inputUnit: factor, outputUnit: 1) { try model.decode($0[0]) }
                ?? model.decode(latent)
        }
    }

    /// Runs networks on threads of their own.
    private func compute<Value: Sendable>(_ body: () throws -> Value) async throws -> Value {
        try await withTaskExecutorPreference(executor) { try body() }
    }
}

/// Where a translation stands after a step.
public struct LatentTranslationState: Sendable {
    /// The state of sampling, by which the translation is resumed.
    public let sampling: SamplingState<Tensor>

    private let finish: @Sendable (Tensor) async throws -> Volume

    init(_ sampling: SamplingState<Tensor>, finish: @escaping @Sendable (Tensor) async throws -> Volume) {
        (self.sampling, self.finish) = (sampling, finish)
    }

    /// Whether the last step has been made. ``volume()`` is then the result.
    public var isComplete: Bool { sampling.isComplete }

    /// The result, or before the last step a preview: the estimate of the target's latent at this step, decoded. It costs
    /// what decoding costs.
    public func volume() async throws -> Volume {
        try await finish(isComplete ? sampling.noisy : sampling.estimate)
    }
}

/// The states of a translation, one after each step.
public struct LatentTranslationStates: AsyncSequence, Sendable {
    let states: SamplingStates<LatentDenoiser>
    let finish: @Sendable (Tensor) async throws -> Volume

    /// A translation from its start, or from the state that it resumes.
    public func makeAsyncIterator() -> Iterator {
        Iterator(states: states.makeAsyncIterator(), finish: finish)
    }

    /// Makes a step for each state that is asked for.
    public struct Iterator: AsyncIteratorProtocol {
        var states: SamplingStates<LatentDenoiser>.Iterator
        let finish: @Sendable (Tensor) async throws -> Volume

        /// The state after the next step, or `nil` after the last.
        public mutating func next() async throws -> LatentTranslationState? {
            try await states.next().map { LatentTranslationState($0, finish: finish) }
        }
    }
}
