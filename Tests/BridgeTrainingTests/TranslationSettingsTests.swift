import BridgeTraining
import Foundation
import Networks
import TensorFiles
import TestSupport
import Testing

/// What a weights file says that its network was trained for.
struct TranslationSettingsTests {
    private static let field = "voxelbridge_translation"

    private static let network: UNetConfiguration = {
        var configuration = UNetConfiguration()
        (configuration.modelChannels, configuration.channelMultipliers) = (32, [1])
        (configuration.residualBlocks, configuration.headChannels) = (1, 32)
        (configuration.attentionResolutions, configuration.contextWidth) = ([], 4)
        return configuration
    }()

    /// Writes a network's weights with the field.
    private func write(_ json: String?, to file: URL) throws {
        let network = TrainableUNet(Self.network)
        var metadata = try network.metadata
        metadata[Self.field] = json
        try Safetensors.write(network.initialParameters(seed: 1).tensors, metadata: metadata, to: file)
    }

    private func settings(_ json: String?) throws -> TranslationSettings? {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "model.safetensors")
            try write(json, to: file)
            return try UNet(weights: file).translation
        }
    }

    @Test func settingsAreReadAsTheyWereWritten() async {
        await checkLaw(cases: 20) { generator in
            var configuration = TrainingConfiguration.tiny(&generator)
            configuration.process.timesteps = generator.size(in: 3...10_000)
            configuration.data.spacing = Double.random(in: 0.5...9, using: &generator)
            configuration.data.plane = [.axial, .coronal, .sagittal].randomElement(using: &generator)!
            if configuration.process.kind == .brownianBridge {
                configuration.process.schedule = [.linear, .sin, .control].randomElement(using: &generator)!
                configuration.process.varianceScale = Double.random(in: 0.1...4, using: &generator)
            }
            let expected = configuration.translation
            try withTemporaryFolder { folder in
                let (file, copy) = (
                    folder.appending(path: "a.safetensors"), folder.appending(path: "b.safetensors")
                )
                try write(nil, to: file)
                var weights = try UNetWeights(contentsOf: file)
                try #require(weights.translation == nil)
                weights.translation = expected
                try Safetensors.write(weights, metadata: weights.metadata, to: copy)
                let network = try UNet(weights: copy)
                try #require(network.translation == expected)
                try #require(UNetDenoiser(network).parameterization == expected.objective)
            }
        }
    }

    @Test func theCommonCaseIsThePublishedOne() throws {
        #expect(try settings("{}") == TranslationSettings())
        #expect(TranslationSettings() == TrainingConfiguration.published.translation)
        #expect(try settings(nil) == nil)
    }

    @Test(arguments: [
        ("", ""), ("[]", ""), ("{\"spacing\": 2", ""),
        (#"{"spacing": 0}"#, ".spacing"),
        (#"{"spacing": -1}"#, ".spacing"),
        (#"{"spacing": 1e-300}"#, ".spacing"),
        (#"{"spacing": 1e300}"#, ".spacing"),
        (#"{"spacing": "2"}"#, ".spacing"),
        (#"{"spacing": null}"#, ".spacing"),
        (#"{"plane": "oblique"}"#, ".plane"),
        (#"{"objective": "image"}"#, ".objective"),
        (#"{"orientation": "RAS"}"#, ".orientation"),
        (#"{"process": {"kind": "markov"}}"#, ".process.kind"),
        (#"{"process": {"timesteps": 2}}"#, ".process.timesteps"),
        (#"{"process": {"timesteps": 10001}}"#, ".process.timesteps"),
        (#"{"process": {"timesteps": 3.5}}"#, ".process.timesteps"),
        (#"{"process": {"timesteps": 1e30}}"#, ".process.timesteps"),
        (#"{"process": {"schedule": "cosine"}}"#, ".process.schedule"),
        (#"{"process": {"variance_scale": 0}}"#, ".process.variance_scale"),
        (#"{"process": {"variance_scale": 1e300}}"#, ".process.variance_scale"),
        (#"{"process": {"kind": "diffusion", "schedule": "sin"}}"#, ".process.schedule"),
        (#"{"process": {"beta": 1}}"#, ".process.beta"),
        (#"{"process": {"kind": "rectified_flow"}, "objective": "noise"}"#, ".objective"),
    ])
    func errorsNameTheFileAndTheField(json: String, field: String) throws {
        let error = #expect(throws: UNetConfigurationError.self) { try settings(json) }
        #expect(error?.field == Self.field + field, "\(error.map { "\($0)" } ?? "")")
        #expect(error?.file?.hasSuffix("model.safetensors") == true)
    }

    /// At the ends of what is allowed all coefficients are numbers.
    @Test(arguments: ProcessSettings.Kind.allCases)
    func everyProcessCanBeSampled(kind: ProcessSettings.Kind) throws {
        for timesteps in [3, 4, 1000, 10_000] {
            for schedule in BrownianBridge.Schedule.allCases {
                for scale in [1e-6, 1e6] {
                    var process = ProcessSettings()
                    (process.kind, process.timesteps) = (kind, timesteps)
                    (process.schedule, process.varianceScale) = (schedule, scale)
                    let scheduler = process.scheduler(steps: 3)
                    #expect(scheduler.trainingTimesteps == timesteps && scheduler.timesteps.count <= 3)
                    for (t, next) in zip(scheduler.timesteps, scheduler.timesteps.dropFirst()) {
                        let ones: [Float] = [1]
                        let step = scheduler.reverseStep(from: t, to: next)(
                            noisy: ones, target: ones, source: ones)
                        #expect(step[0].isFinite, "\(kind) \(timesteps) \(schedule) \(scale) \(t)")
                        for objective in Parameterization.allCases
                        where kind != .rectifiedFlow || objective != .noise {
                            let estimate = scheduler.estimate(from: objective, at: t)(
                                noisy: ones, target: ones, source: ones)
                            #expect(estimate[0].isFinite, "\(kind) \(timesteps) \(objective) \(t)")
                        }
                    }
                }
            }
        }
    }
}
