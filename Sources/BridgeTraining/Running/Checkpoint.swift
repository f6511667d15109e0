import Foundation
import Networks
import TensorFiles
import VoxelSupport

/// The file of a training state: safetensors, with the parameters and their moving average under their published
/// names after `model.` and `ema.`, the optimiser's moments after `optimizer.first.` and `optimizer.second.`, and the
/// rest as JSON in the metadata.
extension TrainingState {
    static let metadataField = "voxelbridge_training"

    /// What a checkpoint says beside its numbers.
    private struct Record: Codable {
        var version = 1
        let step: Int
        let rate: LearningRate.State
        let lossSum: Double
        let lossCount: Int
        let bestValidationLoss: Double?
        let configuration: TrainingConfiguration
        let dataChecksum: String
    }

    /// Writes a checkpoint, whole or not at all. Equal states make equal files.
    func write(to file: URL, configuration: TrainingConfiguration, dataChecksum: String) throws {
        let record = Record(
            step: step, rate: rate.state, lossSum: lossSum, lossCount: lossCount,
            bestValidationLoss: bestValidationLoss, configuration: configuration, dataChecksum: dataChecksum)
        let json = String(decoding: try record.sortedJSON(), as: UTF8.self)
        var tensors: [String: Tensor] = [:]
        let sets = [
            ("model", parameters), ("ema", step < average.settings.start ? parameters : average.values),
            ("optimizer.first", optimizer.firstMoment),
            ("optimizer.second", optimizer.secondMoment),
        ]
        for (prefix, set) in sets {
            for (name, tensor) in set.tensors { tensors["\(prefix).\(name)"] = tensor }
        }
        try Safetensors.write(tensors, metadata: [Self.metadataField: json], to: file)
    }

    /// Reads a checkpoint.
    ///
    /// - Throws: `TrainingError` where it is none, or not one of this configuration and these data.
    init(
        contentsOf file: URL, parameters: [Parameter], configuration: TrainingConfiguration,
        dataChecksum: String
    ) throws {
        do {
            let tensors = try Safetensors(contentsOf: file)
            let json = Data((tensors.metadata[Self.metadataField] ?? "").utf8)
            let record = try JSONDecoder().decode(Record.self, from: json)
            let folder = file.deletingLastPathComponent().deletingLastPathComponent().path
            guard record.configuration == configuration else {
                throw TrainingError.otherConfiguration(folder: folder)
            }
            guard record.dataChecksum == dataChecksum else { throw TrainingError.otherData(folder: folder) }
            func set(_ prefix: String) throws -> ParameterSet {
                try ParameterSet(parameters) { name in
                    let stored = "\(prefix).\(name)"
                    return tensors.shape(of: stored) == nil ? nil : try tensors.tensor(stored)
                }
            }
            self.init(try set("model"), configuration: configuration)
            average.values = try set("ema")
            optimizer.firstMoment = try set("optimizer.first")
            optimizer.secondMoment = try set("optimizer.second")
            optimizer.steps = record.step
            step = record.step
            rate.state = record.rate
            (lossSum, lossCount) = (record.lossSum, record.lossCount)
            bestValidationLoss = record.bestValidationLoss
        } catch let error as TrainingError { throw error } catch {
            throw TrainingError.badCheckpoint(file: file.path, reason: "\(error)")
        }
    }
}
