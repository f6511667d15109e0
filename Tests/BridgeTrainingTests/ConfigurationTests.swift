import BridgeTraining
import Foundation
import ReferenceUNet
import TestSupport
import Testing

/// The configuration: the published settings, and its file.
struct ConfigurationTests {
    private func decode(_ json: String) throws -> TrainingConfiguration {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "config.json")
            try Data(json.utf8).write(to: file)
            return try TrainingConfiguration(contentsOf: file)
        }
    }

    @Test func thePublishedSettingsAreTheDefaults() throws {
        let published = TrainingConfiguration.published
        #expect(try decode("{}") == published)
        #expect(published.network == .ct2mri && published.batch == 16 && published.accumulation == 1)
        #expect(published.loss == .l1 && published.predictionType == .gradient && published.flips)
        #expect(try published.process == StoredPath(BrownianBridge(trainingTimesteps: 1000)))
        let optimizer = published.optimizer
        #expect(optimizer.kind == .adam && optimizer.learningRate == 1e-4 && optimizer.weightDecay == 0)
        #expect(optimizer.beta1 == 0.9 && optimizer.beta2 == 0.999 && optimizer.gradientClip == nil)
        let schedule = published.rateSchedule
        #expect(schedule.kind == .plateau && schedule.factor == 0.5 && schedule.minimum == 5e-7)
        #expect(schedule.patience == 3000 && schedule.cooldown == 3000)
        let average = published.movingAverage
        #expect(average.decay == 0.995 && average.interval == 8 && average.start == 30_000)
        #expect(published.data.minimumForeground == 50)
        try published.validate()
    }

    @Test func aConfigurationIsReadAsItWasWritten() async {
        await checkLaw { generator in
            var configuration = TrainingConfiguration.tiny(&generator)
            if Bool.random(using: &generator) {
                configuration.network.usesSpatialTransformer = false
                configuration.network.contextWidth = nil
            }
            if Bool.random(using: &generator) {
                configuration.adversarial = AdversarialSettings()
                configuration.adversarial?.start = generator.size(in: 0...9)
            }
            let json = String(decoding: try configuration.json, as: UTF8.self)
            try #require(try decode(json) == configuration)
        }
    }

    @Test func fieldsThatAreMissingAreThePublishedOnes() throws {
        let configuration = try decode(
            #"{"network": {"model_channels": 32, "num_head_channels": 32}, "optimizer": {"gradient_clip": 1}}"#)
        var expected = TrainingConfiguration()
        expected.network.modelChannels = 32
        expected.network.headChannels = 32
        expected.optimizer.gradientClip = 1
        #expect(configuration == expected)
    }

    @Test(arguments: [
        (#"{"stepz": 5}"#, "stepz"),
        (#"{"optimizer": {"rate": 5}}"#, "optimizer.rate"),
        (#"{"network": {"channels": 5}}"#, "network.channels"),
        (#"{"network": {"model_channels": 33}}"#, "network.model_channels"),
        (#"{"network": {"model_channels": "many"}}"#, "network.model_channels"),
        (#"{"network": {"model_channels": 32.5}}"#, "network.model_channels"),
        (#"{"batch": 0}"#, "batch"),
        (#"{"batch": 1.5}"#, "batch"),
        (#"{"batch": 2147483648}"#, "batch"),
        (#"{"accumulation": 9223372036854775807}"#, "accumulation"),
        (#"{"steps": 9223372036854775807}"#, "steps"),
        (#"{"batch": "16"}"#, "batch"),
        (#"{"batch": null}"#, "batch"),
        (#"{"seed": -1}"#, "seed"),
        (#"{"adversarial": {"weight": -1}}"#, "adversarial.weight"),
        (#"{"adversarial": {"loss": "wgan"}}"#, "adversarial.loss"),
        (#"{"adversarial": {"width": 5}}"#, "adversarial.num_groups"),
        (#"{"adversarial": {"depth": 5}}"#, "adversarial.depth"),
        (#"{"loss": "l3"}"#, "loss"),
        (#"{"process": {"kind": "markov"}}"#, "process.kind"),
        (#"{"process": {"kind": "diffusion", "schedule": "sin"}}"#, "process.schedule"),
        (#"{"process": {"timesteps": 10001}}"#, "process.timesteps"),
        (#"{"process": {"steps": 10}}"#, "process.steps"),
        (#"{"process": {"kind": "rectified_flow"}, "objective": "noise"}"#, "objective"),
        (#"{"data": {"spacing": 0}}"#, "data.spacing"),
        (#"{"optimizer": {"learning_rate": 0}}"#, "optimizer.learning_rate"),
        (#"{"optimizer": {"beta2": 1}}"#, "optimizer.beta2"),
        (#"{"learning_rate_schedule": {"minimum": 1}}"#, "learning_rate_schedule.minimum"),
        (#"{"moving_average": {"interval": 0}}"#, "moving_average.interval"),
        (#"{"data": {"plane": "oblique"}}"#, "data.plane"),
        (#"{"intervals": {"log": 0}}"#, "intervals.log"),
        (#"{"validation": {"sampling_steps": 2}}"#, "validation.sampling_steps"),
        (#"{"network": 3}"#, "network"),
    ])
    func errorsNameTheField(json: String, field: String) throws {
        let error = #expect(throws: TrainingConfigurationError.self) { try decode(json) }
        #expect(error?.field == field, "\(error.map { "\($0)" } ?? "")")
        #expect(error?.file?.hasSuffix("config.json") == true)
    }

    @Test(arguments: ["", "[]", "{", "{\"steps\": 5"])
    func whatIsNoConfigurationIsAnError(text: String) throws {
        let error = #expect(throws: TrainingConfigurationError.self) { try decode(text) }
        #expect(error?.description.contains("config.json") == true)
    }
}
