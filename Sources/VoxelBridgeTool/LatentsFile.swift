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
        let prepared, source: Grid
        /// What become 0 and 1; nil where the source was taken as it was.
        let bounds: [Double]?

        struct Grid: Codable {
            let shape: [Int]
            /// The top three rows of the affine.
            let affine: [[Double]]

            init(_ grid: VoxelGrid) {
                shape = [grid.shape.x, grid.shape.y, grid.shape.z]
                affine = grid.affine.rows.map { row in (0..<4).map { row[$0] } }
            }

            /// The grid, or nil where there can be none.
            var grid: VoxelGrid? {
                guard shape.count == 3, shape.allSatisfy({ (1...1 << 15).contains($0) }), affine.count == 3,
                    affine.allSatisfy({ $0.count == 4 && $0.allSatisfy(\.isFinite) })
                else { return nil }
                let rows = affine.map { SIMD4($0[0], $0[1], $0[2], $0[3]) }
                let affine = Affine(rows: rows[0], rows[1], rows[2])
                guard affine.inverse != nil else { return nil }
                return VoxelGrid(shape: SIMD3(shape[0], shape[1], shape[2]), affine: affine)
            }
        }
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
            prepared: .init(encoded.prepared.grid), source: .init(encoded.sourceGrid),
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
        guard let prepared = grids.prepared.grid, let source = grids.source.grid, prepared.shape == shape else {
            throw FileFailure(
                path: path, reason: "\(Self.field) does not give grids for a volume of \(decoded.shape[2...])")
        }
        var volume = Volume(grid: prepared, voxels: decoded.values)
        if !raw, let bounds = grids.bounds, bounds.count == 2, bounds[1] > bounds[0] {
            volume = volume.map { Float((Double($0) - bounds[0]) / (bounds[1] - bounds[0])) }
        }
        return prepared == source ? volume : volume.resampled(onto: source, outside: 0)
    }
}
