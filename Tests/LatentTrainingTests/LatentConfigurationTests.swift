import Foundation
import TestSupport
import Testing

@testable import LatentTraining

/// Settings and their files.
struct LatentConfigurationTests {
    private func read(_ text: String, modalities: [String] = ["t1", "t2"]) throws -> LatentTrainingConfiguration
    {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "settings.json")
            try Data(text.utf8).write(to: file)
            return try LatentTrainingConfiguration(contentsOf: file, modalities: modalities)
        }
    }

    @Test func missingFieldsArePublishedAndTargetsThoseOfTheData() throws {
        let configuration = try read(
            #"{"model": {"first_stage": {"z_channels": 8}}, "translator": {"steps": 7, "moving_average": {"decay": 0.5}}}"#
        )
        #expect(configuration.model.targets == ["t1", "t2"])
        #expect(configuration.model.firstStage.classes == 2 && configuration.model.denoiser?.classes == 2)
        #expect(configuration.model.firstStage.codeWidth == 8)
        #expect(configuration.model.denoiser?.inputChannels == 24)
        #expect(configuration.translator.steps == 7 && configuration.translator.optimizer.learningRate == 8e-5)
        #expect(configuration.translator.movingAverage?.decay == 0.5)
        #expect(configuration.autoencoder.movingAverage == nil)
        #expect(configuration.denoiser.optimizer.kind == .adamW)
        #expect(configuration.denoiser.movingAverage?.warmup == true)
    }

    @Test func aFileHoldsAllOfAConfiguration() throws {
        var configuration = try LatentTrainingConfiguration(modalities: ["t1", "pd", "ct"])
        configuration.data.reference = "pd"
        configuration.autoencoder.losses.isAdaptive = true
        configuration.translator.losses.fakeClass = 0
        configuration.denoiser.optimizer.gradientClip = 1
        configuration.seed = .max
        let text = String(decoding: try configuration.json, as: UTF8.self)
        #expect(try read(text) == configuration)
    }

    @Test(arguments: [
        (#"{"autoencoder": {"steps": 0}}"#, "autoencoder.steps"),
        (#"{"autoencoder": {"losses": {"codebok": 1}}}"#, "autoencoder.losses.codebok"),
        (
            #"{"autoencoder": {"losses": {"restarts": {"interval": -1}}}}"#,
            "autoencoder.losses.restarts.interval"
        ),
        (#"{"autoencoder": {"losses": {"quantization_start": -1}}}"#, "autoencoder.losses.quantization_start"),
        (#"{"model": {"first_stage": {"z_channels": 5000000000000000000}}}"#, "model.first_stage.z_channels"),
        (#"{"model": {"targets": ["t1"]}, "data": {"reference": "t2"}}"#, "data.reference"),
        (#"{"data": {"flips": 1.5}}"#, "data.flips"),
        (#"{"data": {"sources": []}}"#, "data.sources"),
        (#"{"data": {"sources": ["t1", "t1"]}}"#, "data.sources"),
        (#"{"data": {"sources": ["ct"]}}"#, "data.sources"),
        (#"{"translator": {"losses": {"fake_class": 3}}}"#, "translator.losses.fake_class"),
        (#"{"translator": {"losses": {"adversarial": {"width": 5}}}}"#, "translator.losses.adversarial.width"),
        (#"{"denoiser": {"validation": {"sampling_steps": 501}}}"#, "denoiser.validation.sampling_steps"),
        (#"{"denoiser": {"optimizer": {"beta1": 1}}}"#, "denoiser.optimizer.beta1"),
        (#"{"model": {"denoiser": null}}"#, "model.denoiser"),
        (#"{"model": {"first_stage": {"ch": 7}}}"#, "model.first_stage.ch"),
    ])
    func errorsNameTheField(text: String, field: String) throws {
        let error = #expect(throws: TrainingConfigurationError.self) { try read(text) }
        #expect(error?.field == field && error?.file?.hasSuffix("settings.json") == true)
    }
}
