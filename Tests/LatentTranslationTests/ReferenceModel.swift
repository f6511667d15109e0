import Foundation
import LatentTranslation
import TestSupport
import Testing

/// The reference's networks and numbers, whose tensors are `[batch, channels, x, y, z]`.
enum Reference {
    static func url(_ name: String) -> URL { Fixtures.reference("aldm/\(name)") }

    static func numbers(_ name: String) throws -> Safetensors {
        try Safetensors(contentsOf: url("\(name).safetensors"))
    }

    /// The networks of a configuration, `a` or `b`.
    static func model(_ name: String) throws -> LatentModel {
        try LatentModel(
            contentsOf: url("unet_\(name).safetensors"), firstStage: url("autoencoder_\(name).safetensors"),
            configurations: [url("unet_\(name).json"), url("autoencoder_\(name).json")])
    }

    static let configurations = [url("unet_a.json"), url("autoencoder_a.json")]
}

extension Safetensors {
    /// A tensor of the reference as the package has it: `[batch, channels, z, y, x]`.
    func flipped(_ name: String) throws -> Tensor { try tensor(name).reversingSpatialAxes() }

    /// Whole numbers, in single precision exact.
    func integers(_ name: String) throws -> [Int] { try tensor(name).values.map { Int($0) } }
}

/// Requires the relative L2 error to be below a limit far below the one that is asked for, and prints it.
func expectClose(
    _ found: Tensor, _ expected: Tensor, _ name: String, limit: Double = 2e-5,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(found.shape == expected.shape, sourceLocation: sourceLocation)
    guard found.shape == expected.shape else { return }
    let error = relativeL2(found.values, expected.values)
    print("\(name): relative L2 \(error)")
    #expect(error < limit, "\(name)", sourceLocation: sourceLocation)
}

extension Volume {
    /// A volume of millimetre voxels of a tensor `[1, 1, z, y, x]`, or the other way round.
    init(_ tensor: Tensor) {
        let shape = tensor.shape
        self.init(grid: VoxelGrid(shape: [shape[4], shape[3], shape[2]]), voxels: tensor.values)
    }

    var tensor: Tensor { Tensor(shape: [1, 1, shape.z, shape.y, shape.x], values: voxels) }
}
