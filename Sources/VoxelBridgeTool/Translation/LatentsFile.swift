import Foundation
import LatentTranslation
import VoxelBridge
import VoxelSupport

/// A latent in a file, with the grids of its volume: what 'translate --encode-only' writes and '--decode' reads.
///
/// Tensors are `[1, channels, x, y, z]`, as in the public code.
struct LatentsFile {
    /// Where the volume of a latent lies.
    struct Grids: Codable {
        /// The grid that the decoder's volume has, and that of the source.
        let prepared, source: VoxelGrid
        /// What become 0 and 1; nil where the source was taken as it was.
        let bounds: [Double]?
    }

    private static let field = "latent_grids"

    /// `latent`, and `translated.TARGET` for targets; spatial axes reversed to x fastest.
    let tensors: [String: Tensor]
    /// nil where the file does not say.
    let grids: Grids?
    private let path: String

    /// A source's latent, and what the translator makes of it for targets.
    init(_ encoded: EncodedVolume, targets: [String], by translator: LatentVolumeTranslator) async throws {
        var tensors = ["latent": encoded.latent]
        for target in targets {
            tensors["translated.\(target)"] = try await translator.translated(
                encoded.latent, to: translator.model.target(target))
        }
        (self.tensors, path) = (tensors, "")
        grids = Grids(
            prepared: encoded.prepared.grid, source: encoded.sourceGrid,
            bounds: translator.preparation?.bounds)
    }

    /// Reads tensor `latent` and the grids.
    init(contentsOf path: String) throws {
        self.path = path
        let file = try Safetensors(contentsOf: path)
        tensors = try naming(path) { ["latent": try file.tensor("latent").reversingSpatialAxes()] }
        grids = try naming("\(path): \(Self.field)") {
            try file.metadata[Self.field].map { try JSONValue(parsing: Data($0.utf8)).decode(Grids.self) }
        }
    }

    func write(to path: String) throws {
        try Safetensors.write(
            tensors.mapValues { $0.reversingSpatialAxes() },
            metadata: grids.map { [Self.field: String(decoding: try $0.sortedJSON(), as: UTF8.self)] } ?? [:],
            to: path)
    }

    /// The volume of tensor `latent`, on the source's grid where the file says it.
    ///
    /// - Parameter raw: whether the decoder's numbers are taken as they are.
    func decoded(by translator: LatentVolumeTranslator, raw: Bool) async throws -> Volume {
        let latent = tensors["latent"]!
        let decoded = try await translator.decoded(
            translator.requantises ? translator.model.quantise(latent) : latent)
        let shape = SIMD3(decoded.shape[4], decoded.shape[3], decoded.shape[2])
        guard let grids else { return Volume(grid: VoxelGrid(shape: shape), voxels: decoded.values) }
        guard grids.prepared.shape == shape, grids.source.count <= 1 << 30 else {
            throw FileFailure(
                path: path,
                reason: "\(Self.field) does not give the grid of a volume of "
                    + "\(shape.x) x \(shape.y) x \(shape.z) voxels, and a source of at most 2^30")
        }
        var volume = Volume(grid: grids.prepared, voxels: decoded.values)
        if !raw, let bounds = grids.bounds, bounds.count == 2, bounds[1] > bounds[0] {
            volume = volume.map { Float((Double($0) - bounds[0]) / (bounds[1] - bounds[0])) }
        }
        return grids.prepared == grids.source ? volume : volume.resampled(onto: grids.source, outside: 0)
    }
}
