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
            configuration.process = try StoredPath(generator.path(of: 3...10_000))
            configuration.predictionType = .sample
            configuration.data.source = .window(
                IntensityWindow(-20, Double.random(in: 0...99, using: &generator)))
            configuration.data.target = .histogram(generator.floats(8, in: 0.5...1))
            configuration.data.spacing = Double.random(in: 0.5...9, using: &generator)
            configuration.data.antialiasing = Bool.random(using: &generator) ? .none : .gaussian
            configuration.data.plane = [.axial, .coronal, .sagittal].randomElement(using: &generator)!
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
                try #require(UNetDenoiser(network).predictionType == expected.predictionType)
            }
        }
    }

    @Test func theCommonCaseIsThePublishedOne() throws {
        // Files that do not state them are of networks that were trained without anti-aliasing, from the least to the
        // greatest intensity.
        var unstated = TranslationSettings()
        #expect(unstated.antialiasing == .gaussian)
        unstated.antialiasing = .none
        (unstated.source, unstated.target) = (.minMax, .minMax)
        #expect(try settings("{}") == unstated)
        let stated = try settings(
            #"{"antialiasing": "gaussian", "source": "window:0,80", "target": "percentiles"}"#)
        #expect(stated?.antialiasing == .gaussian)
        #expect(stated?.source == .window(.brain) && stated?.target == .percentiles())
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
        (#"{"antialiasing": true}"#, ".antialiasing"),
        (#"{"plane": "oblique"}"#, ".plane"),
        (#"{"source": "window:80,0"}"#, ".source"),
        (#"{"target": 3}"#, ".target"),
        (#"{"objective": "image"}"#, ".objective"),
        (#"{"orientation": "RAS"}"#, ".orientation"),
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
        (#"{"process": {"kind": "direct"}, "objective": "noise"}"#, ".objective"),
        (#"{"process": {"kind": "direct"}, "objective": "velocity"}"#, ".objective"),
        (#"{"process": {"kind": "direct", "timesteps": 1000}}"#, ".process.timesteps"),
    ])
    func errorsNameTheFileAndTheField(json: String, field: String) throws {
        let error = #expect(throws: TranslationSettingsError.self) { try settings(json) }
        #expect(error?.field == Self.field + field, "\(error.map { "\($0)" } ?? "")")
        #expect(error?.file?.hasSuffix("model.safetensors") == true)
    }

    /// A file may name a path that the reader does not know; it is an error only where the path is needed.
    @Test func aPathOfAnotherKindIsReadAndRefusedWhereItIsNeeded() throws {
        let read = try #require(try settings(#"{"process": {"kind": "markov", "order": 2}}"#))
        #expect(read.process.kind == "markov")
        let error = #expect(throws: StoredPathError.self) { try read.process.path() }
        #expect(error?.field == "kind" && error?.errorDescription?.contains("markov") == true)
    }

    /// At the ends of what is allowed all coefficients are numbers.
    @Test func everyPathCanBeSampled() throws {
        for timesteps in [3, 4, 1000, 10_000] {
            var paths: [any StorablePath] = [
                SymmetricBridge(trainingTimesteps: timesteps, betaMax: 1e-3),
                SymmetricBridge(trainingTimesteps: timesteps, betaMax: 100),
                RectifiedFlow(trainingTimesteps: timesteps),
                GaussianDiffusion(trainingTimesteps: timesteps),
                GaussianDiffusion(trainingTimesteps: timesteps, schedule: .scaledLinear()),
                GaussianDiffusion(trainingTimesteps: timesteps, schedule: .cosine),
            ]
            for schedule in BrownianBridge.Schedule.allCases {
                for scale in [1e-6, 1e6] {
                    paths.append(
                        BrownianBridge(
                            trainingTimesteps: timesteps, schedule: schedule, varianceScale: scale))
                }
            }
            for path in try paths.map({ try StoredPath($0).path() }) {
                let scheduler = Scheduler(path, steps: 3)
                #expect(path.trainingTimesteps == timesteps && scheduler.timesteps.count <= 3)
                for (index, t) in scheduler.timesteps.dropLast().enumerated() {
                    let step = scheduler.step(index)
                    let sum = ([step.noisy, step.source] + step.estimates).reduce(0, +)
                    #expect(Float(sum).isFinite, "\(path) \(t)")
                    for type in PredictionType.allCases
                    where type != .noise || path.coefficients(at: t).target > 0 {
                        let ones: [Float] = [1]
                        let estimate = path.estimate(from: type, at: t)(
                            noisy: ones, target: ones, source: ones)
                        #expect(estimate[0].isFinite, "\(path) \(type) \(t)")
                    }
                }
            }
        }
    }
}
