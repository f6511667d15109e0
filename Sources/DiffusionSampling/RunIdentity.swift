import BridgeDiffusion
import VoxelSupport

/// A setting that decides the bits of a run's result, as text.
public struct RunSetting: Codable, Hashable, Sendable {
    /// What it is, as errors name it.
    public let name: String

    /// Its value, or a fingerprint of it.
    public let value: String

    /// A setting.
    public init(_ name: String, _ value: some Any) { (self.name, self.value) = (name, "\(value)") }
}

/// Identifies a run: a saved state can be resumed only by the run that produced it.
///
/// Behaviour is compared and not names: the weights of each step stand for path and solver, and the gains at some
/// residuals for the corrector, so that yours are compared too.
struct RunIdentity: Codable, Equatable, Sendable {
    let timesteps: [Int]
    let settings: [RunSetting]

    init<Model: Denoiser>(
        _ sampler: Sampler<Model>, source: Model.Storage, startingAt noisy: Model.Storage?,
        settings: [RunSetting]
    ) {
        let (scheduler, path) = (sampler.scheduler, sampler.scheduler.path)
        timesteps = scheduler.timesteps
        let coefficients = scheduler.timesteps.flatMap { t in
            let path = path.coefficients(at: t)
            return [path.target, path.source, path.variance]
        }
        let weights = (0..<scheduler.stepCount).flatMap { index in
            let step = scheduler.step(index)
            return [step.noisy] + step.estimates + [step.source, step.noise]
        }
        var all = [
            RunSetting("shape of the source", source.shape),
            RunSetting("fingerprint of the source", fingerprint(of: source)),
            RunSetting("start", noisy.map { "from \(fingerprint(of: $0))" } ?? path.start.rawValue),
            RunSetting("number of training timesteps", path.trainingTimesteps),
            RunSetting("list of timesteps", scheduler.timesteps),
            RunSetting("fingerprint of the path", fingerprint(of: coefficients)),
            RunSetting("fingerprint of the solver's steps", fingerprint(of: weights)),
            RunSetting("noise", sampler.noise), RunSetting("clipping", sampler.clip.map { "\($0)" } ?? "none"),
        ]
        if let arrival = scheduler.arrival { all.append(RunSetting("timestep of arrival", arrival)) }
        if let noises = sampler.stepNoises {
            all.append(RunSetting("noise of each step", noises.map { fingerprint(of: $0) }))
        }
        let arrivals = scheduler.timesteps.dropFirst()
        let iterations = arrivals.map { sampler.corrector?.iterations(at: $0) ?? 0 }
        all.append(RunSetting("list of corrections", iterations))
        if let corrector = sampler.corrector {
            let count = source.groupSize
            let gains = zip(arrivals, iterations).filter { $0.1 > 0 }.flatMap { t, _ in
                // Mean squares from a ten-millionth of the path's variance to a hundred times it.
                [1e-7, 1e-4, 1e-2, 1, 100].map { share in
                    corrector.gain(
                        squaredResidual: share * path.coefficients(at: t).variance * Double(count),
                        count: count,
                        at: t, on: path)
                }
            }
            all.append(RunSetting("fingerprint of the corrector's gains", fingerprint(of: gains)))
        }
        all += sampler.denoiser.runSettings
        if let denoiser = sampler.correctionDenoiser {
            let own = Set(sampler.denoiser.runSettings)
            all += denoiser.runSettings.filter { !own.contains($0) }
                .map { RunSetting("\($0.name) of corrections", $0.value) }
        }
        self.settings = all + settings
    }

    /// - Throws: ``SamplingStateError`` naming the first setting that differs from another run's.
    func check(against other: RunIdentity) throws {
        for index in 0..<max(settings.count, other.settings.count) {
            let own = index < settings.count ? settings[index] : nil
            let others = index < other.settings.count ? other.settings[index] : nil
            guard own != others else { continue }
            // A setting that only one of the runs has is named alone.
            let (name, isShared) = ((own ?? others!).name, own?.name == others?.name)
            throw SamplingStateError.belongsToAnotherRun(
                setting: name, found: own?.value ?? "not set",
                expected: isShared || own == nil ? others?.value ?? "not set" : "not set")
        }
        guard timesteps == other.timesteps else {
            throw SamplingStateError.belongsToAnotherRun(
                setting: "list of timesteps", found: "\(timesteps)", expected: "\(other.timesteps)")
        }
    }
}

private func fingerprint(of storage: some SampleStorage) -> String {
    var fingerprint = Fingerprint()
    fingerprint.combine(storage.values)
    return String(fingerprint.value, radix: 16)
}

private func fingerprint(of values: [Double]) -> String {
    String(Fingerprint(of: values.lazy.map { $0.bitPattern }).value, radix: 16)
}
