import BridgeTraining
import Foundation
import LatentTranslation
import Networks
import VoxelSupport

/// Where stages start.
extension LatentTrainingRun {
    /// The networks that a stage starts from. They are kept in the stage's folder: it can be resumed after the stage before
    /// it has been trained again.
    func start(of stage: LatentStage, from given: URL?, resumes: Bool) throws -> LatentParameters {
        let files = files(of: stage)
        if files.holdsRun, !resumes { throw TrainingError.runExists(folder: files.url.path) }
        let own = files.url.appending(path: "start.safetensors")
        func exists(_ file: URL) -> Bool { FileManager.default.fileExists(atPath: file.path) }
        // Before its first checkpoint it starts anew.
        let hasBegun = files.holdsRun && (try? files.checkpoints.isEmpty) == false
        if hasBegun, exists(own) { return try networks(in: own, for: stage) }
        let start: LatentParameters
        if let file = given.map({ model(in: $0, before: stage) }) ?? previousModel(of: stage) {
            start = try networks(in: file, for: stage)
        } else if stage == .autoencoder {
            return LatentParameters(configuration.model, seed: seed(of: stage))
        } else {
            throw LatentTrainingError.noStart(stage, folder: folder.path)
        }
        try FileManager.default.createDirectory(at: files.url, withIntermediateDirectories: true)
        try start.write(to: own)
        return start
    }

    /// The model's file in a run's folder; a file itself.
    private func model(in place: URL, before stage: LatentStage) -> URL {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: place.path, isDirectory: &isFolder), isFolder.boolValue
        else {
            return place
        }
        let stages = LatentStage.allCases
        let before = stages.firstIndex(of: stage).flatMap { $0 > 0 ? stages[$0 - 1] : nil }
        let own = before.map { place.appending(path: "\($0.rawValue)/model.safetensors") }
        return own.flatMap { FileManager.default.fileExists(atPath: $0.path) ? $0 : nil }
            ?? place.appending(path: "model.safetensors")
    }

    private func previousModel(of stage: LatentStage) -> URL? {
        let file: URL? =
            switch stage {
            case .autoencoder: nil
            case .translator: files(of: .autoencoder).model
            case .denoiser: files(of: .translator).model
            }
        return file.flatMap { FileManager.default.fileExists(atPath: $0.path) ? $0 : nil }
    }

    /// The networks in a file, which must have the sizes of the configuration.
    private func networks(in file: URL, for stage: LatentStage) throws -> LatentParameters {
        let found = try LatentParameters(contentsOf: file)
        let own = configuration.model
        var sizes = found.configuration.firstStage
        // What does not change the networks' outputs, or only names levels.
        (sizes.commitment, sizes.weighsCodebookTerm) = (
            own.firstStage.commitment, own.firstStage.weighsCodebookTerm
        )
        (sizes.resolution, sizes.attentionResolutions) = (
            own.firstStage.resolution, own.firstStage.attentionResolutions
        )
        let (foundFields, ownFields) = (try JSONValue(encoding: sizes), try JSONValue(encoding: own.firstStage))
        for field in AutoencoderConfiguration.fields where foundFields[field] != ownFields[field] {
            func text(_ value: JSONValue?) throws -> String {
                String(decoding: try (value ?? .null).sortedJSON(), as: UTF8.self)
            }
            throw LatentTrainingError.otherNetwork(
                file: file.path, field: "model.first_stage.\(field)", found: try text(foundFields[field]),
                expected: try text(ownFields[field]))
        }
        guard found.configuration.targets == own.targets else {
            throw LatentTrainingError.otherNetwork(
                file: file.path, field: "model.targets",
                found: found.configuration.targets.joined(separator: ", "),
                expected: own.targets.joined(separator: ", "))
        }
        var firstStage = own
        firstStage.denoiser = nil
        let keepsDenoiser = stage == .denoiser && found.configuration.denoiser == own.denoiser
        return found.with(
            denoiser: keepsDenoiser ? found.denoiser : nil, of: keepsDenoiser ? own : firstStage)
    }
}

extension AutoencoderConfiguration {
    fileprivate static var fields: [String] { CodingKeys.allCases.map(\.rawValue) }
}
