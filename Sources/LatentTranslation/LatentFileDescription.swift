import Foundation
import Networks
import VoxelSupport

/// What a file of weights shows of a latent translator, or of a part of one, for people to read. Fields that neither the
/// file states nor its parameters show are null.
package struct LatentFileDescription {
    /// A network in the file.
    package struct Network {
        package let name: String
        package let tensors, parameters: Int
        package let storedAs: [String]
        package let configuration: JSONValue
    }

    package let networks: [Network]
    package let targets: [String]
    /// What the file states apart from the networks.
    package let settings: JSONValue?

    /// Describes a file.
    ///
    /// - Throws: as `LatentWeights.init(contentsOf:firstStage:configurations:selection:)` does, but for what is missing.
    package init(contentsOf url: URL) throws {
        let file = try LatentFile(url)
        let firstStage = try file.firstStage()
        var (networks, classes) = ([Network](), 0)
        do throws(UninferableSize) {
            if let part = firstStage {
                let resolution = (try? file.carried?["first_stage"]?["resolution"]?.decode(Int.self)) ?? 192
                let shown = try AutoencoderConfiguration(
                    inferredFrom: part.shape, resolution: max(1, resolution))
                var unshown = ["num_groups", "beta", "legacy_beta", "resolution"]
                if shown.translator == .table { unshown.append("one_plus_gamma") }
                classes = shown.classes
                networks.append(Self.network("first_stage", part, shown, unshown, file.carried?["first_stage"]))
            }
            for (selection, part) in file.denoisers.sorted(by: { $0.key.rawValue > $1.key.rawValue }) {
                let shown = try LatentUNetConfiguration(inferredFrom: part.shape)
                classes = shown.classes
                networks.append(
                    Self.network(
                        "denoiser (\(selection.rawValue))", part, shown, ["num_groups", "num_head_channels"],
                        file.carried?["denoiser"]))
            }
        } catch {
            throw ParameterError.unknownSizes(
                file: file.path, missing: error.parameter, network: "a latent translator")
        }
        self.networks = networks
        let published = LatentModelConfiguration.publishedTargets
        targets =
            (try? file.carried?["targets"]?.decode([String].self))
            ?? (classes == published.count ? published : (0..<classes).map { "class\($0)" })
        var rest = file.carried
        for field in ["first_stage", "denoiser", "targets"] { rest?[field] = nil }
        settings = rest
    }

    private static func network(
        _ name: String, _ part: LatentFile.Part, _ shown: some Encodable, _ unshown: [String],
        _ stated: JSONValue?
    ) -> Network {
        var configuration = (try? JSONValue(encoding: shown)) ?? .object([:])
        for field in unshown { configuration[field] = stated?[field] ?? .null }
        return Network(
            name: name, tensors: part.names.count,
            parameters: part.names.reduce(0) { $0 + (part.source.shape(of: $1) ?? []).reduce(1, *) },
            storedAs: Set(part.names.compactMap { part.source.type(of: $0)?.rawValue }).sorted(),
            configuration: configuration)
    }
}
