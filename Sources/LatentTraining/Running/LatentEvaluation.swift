import BridgeTraining
import Foundation
import LatentTranslation
import TensorFiles
import VolumeFigures
import Volumes
import VoxelSupport

/// A model on the validation data: its loss, and volumes translated to every target.
struct LatentEvaluation: TrainingEvaluation {
    let plan: LatentStagePlan
    let model: LatentModel
    let phase: LatentPhase
    let data: ModalityDataset
    let drawer: ExampleDrawer
    let seed: UInt64
    let losses: () throws -> Double?

    func loss() throws -> Double? { try losses() }

    /// The first source of each subject translated to every other target; in the first stage, every modality encoded and
    /// decoded.
    func samples() async throws -> TrainingSamples? {
        let count = min(plan.validation.samples, data.subjects.count)
        guard count > 0 else { return nil }
        var rows: [[GreyImage]] = []
        var volumes: [(name: String, volume: Volume)] = []
        for number in 0..<count {
            let index = number * data.subjects.count / count
            let subject = data.subjects[index]
            let classes = data.classes(of: index)
            func prepared(_ target: Int) throws -> Volume {
                Volume(grid: subject.grid, voxels: try subject.volume(data.targets[target]).values)
            }
            if plan.stage == .autoencoder {
                for modality in classes {
                    try TimeLimit.check()
                    let volume = try prepared(modality)
                    let decoded = try model.reconstructed(volume.tensor, in: phase)
                    let result = Volume(grid: subject.grid, voxels: decoded.values)
                    rows.append([volume.middleSlice, result.middleSlice])
                    volumes.append(("\(subject.name)-\(data.targets[modality]).nii.gz", result))
                }
                continue
            }
            var translator = try LatentVolumeTranslator(
                model, steps: plan.validation.samplingSteps, seed: seed)
            translator.preparation = nil
            guard let sourceClass = drawer.firstSource(of: index) else { continue }
            let source = try prepared(sourceClass)
            let encoded = try await translator.encode(source)
            for target in data.targets.indices where target != sourceClass {
                try TimeLimit.check()
                let result: Volume
                do { result = try await translator.translate(encoded, to: data.targets[target]) } catch {
                    // Sampling wraps the cancellation of its denoiser.
                    try Task.checkCancellation()
                    throw error
                }
                let truth =
                    try classes.contains(target)
                    ? prepared(target).middleSlice
                    : GreyImage(width: source.shape.x, height: source.shape.y)
                rows.append([source.middleSlice, result.middleSlice, truth])
                volumes.append(
                    (
                        "\(subject.name)-\(data.targets[sourceClass])-to-\(data.targets[target]).nii.gz",
                        result
                    ))
            }
        }
        guard !rows.isEmpty else { return nil }
        let columns =
            plan.stage == .autoencoder ? ["volume", "reconstructed"] : ["source", "sampled", "target"]
        return TrainingSamples(picture: ImageTable(columns: columns, rows: rows).image(), volumes: volumes)
    }
}

extension Volume {
    /// `[1, 1, z, y, x]`.
    fileprivate var tensor: Tensor { Tensor(shape: [1, 1, shape.z, shape.y, shape.x], values: voxels) }

    /// The middle axial slice of a volume in RAS orientation, -1 black and 1 white: the patient's right on the left, and
    /// anterior at the top.
    fileprivate var middleSlice: GreyImage {
        var image = GreyImage(width: shape.x, height: shape.y)
        for y in 0..<shape.y {
            for x in 0..<shape.x {
                let intensity = self[x, y, shape.z / 2]
                let value = intensity.isFinite ? (intensity + 1) / 2 : 0
                image[shape.x - 1 - x, shape.y - 1 - y] = UInt8((min(max(value, 0), 1) * 255).rounded())
            }
        }
        return image
    }
}
