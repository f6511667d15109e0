import BridgeTraining
import Foundation
import VolumePhantoms
import VoxelBridge

/// Trains a tiny network on a custom path, and translates with the resulting file.
///
/// It takes a minute or two, and exits with 1 unless all checks pass.
@main
struct OwnPath {
    static func main() async throws {
        let folder = URL.temporaryDirectory.appending(path: "own-path-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = OrnsteinUhlenbeckBridge(attraction: 3)
        var check = Checks()
        check("the path keeps the laws", isLawful(path))

        // Subjects at 4 mm: six to train on, and one to translate.
        let cohort = PhantomCohort(seed: 5, shape: [48, 56, 48], spacing: 4, source: .brain)
        let configuration = try configuration(path, spacing: 4)
        let data = try PhantomWindows(cohort, subjects: 0..<6, network: configuration.network)
        let losses = try await train(configuration, on: data, folder: folder)
        let (first, last) = (mean(losses.prefix(50)), mean(losses.suffix(50)))
        check("the loss falls", last < first / 2, String(format: "%.3f to %.3f", first, last))

        let network = try UNet(weights: folder.appending(path: "model.safetensors"))
        let kind = network.translation?.process.kind
        check("the file names the path", kind == OrnsteinUhlenbeckBridge.kind, kind)
        do {
            _ = try VolumeTranslator(network, steps: 20)
            check("without its type it is refused", false)
        } catch let error as StoredPathError {
            check(
                "without its type it is refused", error.found.contains(OrnsteinUhlenbeckBridge.kind), "\(error)"
            )
        }
        let translator = try VolumeTranslator(network, steps: 20, paths: [OrnsteinUhlenbeckBridge.self])
        check(
            "with it the same path is read",
            translator.sampler.scheduler.path as? OrnsteinUhlenbeckBridge == path)

        let subject = cohort.subject(6)
        let translated = try await translator.translate(subject.source, style: data.style)
        let scale = RescaleIntensity()
        let truth = try scale.apply(to: subject.target).volume
        let before = try PSNR()(scale.apply(to: subject.source).volume, against: truth, mask: subject.mask)
        let after = try PSNR()(translated, against: truth, mask: subject.mask)
        check(
            "the translation is nearer to the truth", after > before + 3,
            String(format: "PSNR inside the brain %.1f dB, of the source %.1f dB", after, before))
        if check.failures > 0 { exit(1) }
    }

    /// Settings for a minute of training.
    static func configuration(
        _ path: OrnsteinUhlenbeckBridge, spacing: Double
    ) throws -> TrainingConfiguration {
        var configuration = TrainingConfiguration()
        configuration.process = try StoredPath(path)
        configuration.network.modelChannels = 32
        configuration.network.channelMultipliers = [1, 2]
        configuration.network.residualBlocks = 1
        configuration.network.headChannels = 32
        configuration.network.contextWidth = 32
        configuration.data.spacing = spacing
        configuration.optimizer.learningRate = 1e-3
        configuration.rateSchedule.kind = .cosine
        configuration.batch = 4
        configuration.steps = 300
        configuration.rateSchedule.period = configuration.steps
        try configuration.validate()
        return configuration
    }

    /// Trains in a folder.
    ///
    /// - Returns: the loss of each step.
    static func train(
        _ configuration: TrainingConfiguration, on data: PhantomWindows, folder: URL
    ) async throws -> [Double] {
        var run = try TrainingRun(
            TrainableUNet(configuration.network), configuration: configuration, training: data,
            validation: nil, folder: folder, resumes: false)
        var losses: [Double] = []
        try await run.run { event in
            guard case .step(let progress) = event else { return }
            losses.append(progress.loss)
            if progress.step % 50 == 0 {
                print(
                    "step \(progress.step) of \(progress.steps), loss \(String(format: "%.3f", progress.loss))")
            }
        }
        return losses
    }

    /// Whether the noise increases from x_0 to y, and the velocity is the numerical derivative of the coefficients.
    static func isLawful(_ path: OrnsteinUhlenbeckBridge) -> Bool {
        let last = path.trainingTimesteps - 1
        return (1..<last).allSatisfy { t in
            let (before, now, after) = (
                path.forwardSample(at: t - 1), path.forwardSample(at: t), path.forwardSample(at: t + 1)
            )
            let time = path.time(t + 1) - path.time(t - 1)
            let velocity = path.velocity(at: t)
            func isDerivative(_ weight: KeyPath<PathCombination, Double>) -> Bool {
                let slope = (after[keyPath: weight] - before[keyPath: weight]) / time
                return abs(slope - velocity[keyPath: weight]) < 0.001 * max(1, abs(slope))
            }
            let isInside = (last / 10...last - last / 10).contains(t)
            return now.target > 0 && now.noise > 0 && before.noise / before.target < now.noise / now.target
                && isDerivative(\.target) && isDerivative(\.source) && (isDerivative(\.noise) || !isInside)
        }
    }

    static func mean(_ values: some Collection<Double>) -> Double { values.reduce(0, +) / Double(values.count) }
}

/// Prints the checks, and counts the failures.
struct Checks {
    private(set) var failures = 0

    mutating func callAsFunction(_ what: String, _ holds: Bool, _ found: String? = nil) {
        print((holds ? "yes  " : "NO   ") + what + (found.map { ": \($0)" } ?? ""))
        if !holds { failures += 1 }
    }
}
