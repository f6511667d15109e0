import Foundation
import LatentTraining
import Networks
import TestSupport
import VolumeIO
import Volumes

/// Subjects of small random volumes in several modalities, on disk.
enum SmallCohort {
    static let modalities = ["t1", "t2", "flair"]

    /// Writes volumes and a manifest: subjects a to d, of which b has no T2 and d is for validation.
    static func write(to folder: URL, seed: UInt64 = 1) throws -> ModalityManifest {
        var generator = SeededGenerator(seed: seed)
        var lines = ["subject,split,t1,t2,flair,mask"]
        for (index, name) in ["a", "b", "c", "d"].enumerated() {
            var fields = [name, index == 3 ? "validation" : "train"]
            for modality in modalities {
                guard !(name == "b" && modality == "t2") else {
                    fields.append("")
                    continue
                }
                let file = "\(name)-\(modality).nii.gz"
                try volume(&generator).write(to: folder.appending(path: file))
                fields.append(file)
            }
            lines.append(fields.joined(separator: ",") + ",")
        }
        let table = folder.appending(path: "subjects.csv")
        try Data(lines.joined(separator: "\n").utf8).write(to: table)
        return try ModalityManifest(contentsOf: table)
    }

    /// A smooth positive object in a background of 0.
    static func volume(_ generator: inout SeededGenerator) -> Volume {
        let grid = VoxelGrid(shape: [11, 10, 9], spacing: [2, 2, 2])
        let weights = generator.floats(3)
        return Volume(
            grid: grid,
            voxels: (0..<grid.count).map { index in
                let place = [index % 11, index / 11 % 10, index / 110]
                guard place[0] > 0, place[0] < 10, place[1] > 0, place[2] > 0, place[2] < 8 else { return 0 }
                let phase = zip(place, weights).reduce(Float(0)) { $0 + Float($1.0) * $1.1 }
                return 100 + 50 * sin(phase) + generator.floats(1)[0]
            })
    }

    /// Networks that train in no time.
    static func configuration() throws -> LatentTrainingConfiguration {
        var configuration = try LatentTrainingConfiguration(modalities: modalities)
        configuration.model.preparation.shape = [12, 12, 12]
        var first = configuration.model.firstStage
        (first.channels, first.channelMultipliers, first.groups) = (4, [1, 1], 2)
        (first.latentChannels, first.codeWidth, first.codes) = (2, 2, 16)
        (first.translatorWidth, first.translatorHidden) = (4, 2)
        configuration.model.firstStage = first
        var denoiser = configuration.model.denoiser!
        (denoiser.modelChannels, denoiser.channelMultipliers, denoiser.groups) = (4, [1], 2)
        (denoiser.headChannels, denoiser.attentionResolutions) = (4, [])
        (denoiser.outputChannels, denoiser.inputChannels) = (2, 6)
        configuration.model.denoiser = denoiser
        configuration.data.flips = 0.3
        func shorten<Losses>(_ stage: inout LatentStageSettings<Losses>) {
            (stage.steps, stage.batch) = (9, 2)
            (stage.intervals.log, stage.intervals.validation) = (2, 3)
            (stage.intervals.samples, stage.intervals.checkpoint) = (5, 2)
            (stage.validation.examples, stage.validation.samplingSteps) = (3, 2)
            stage.optimizer.learningRate = 1e-3
        }
        shorten(&configuration.autoencoder)
        shorten(&configuration.translator)
        shorten(&configuration.denoiser)
        var adversarial = configuration.autoencoder.losses.adversarial
        (adversarial.start, adversarial.width, adversarial.layers, adversarial.groups) = (4, 4, 1, 2)
        configuration.autoencoder.losses.adversarial = adversarial
        configuration.autoencoder.losses.quantizationStart = 2
        configuration.autoencoder.losses.restarts.interval = 3
        configuration.autoencoder.losses.restarts.end = 7
        adversarial.start = 3
        configuration.translator.losses.adversarial = adversarial
        try configuration.validate()
        return configuration
    }
}
