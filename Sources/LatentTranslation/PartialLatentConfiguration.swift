import Foundation
import Networks
import VoxelSupport
import BridgeDiffusion

/// Some fields of a configuration, from files or a program; the weights show the others.
struct PartialLatentConfiguration {
    /// The file that the fields come from, for errors.
    private var file: String?
    /// A JSON object as `LatentModelConfiguration` is encoded.
    private var fields: JSONValue = .object([:])

    init() {}

    /// All fields.
    init(_ configuration: LatentModelConfiguration) throws { fields = try JSONValue(encoding: configuration) }

    init(_ fields: JSONValue, file: String?) { (self.fields, self.file) = (fields, file) }

    /// The fields in a JSON file: those of a whole model, or those of one network alone, which are recognised by their
    /// names. `num_groups` and `num_classes` without others are of both networks.
    ///
    /// - Throws: `NetworkConfigurationError` naming the file and the invalid field.
    init(contentsOf url: URL) throws {
        file = url.path
        do throws(JSONFieldError) { fields = try JSONValue(contentsOf: url) } catch {
            throw NetworkConfigurationError(error, file: url.path)
        }
        guard case .object(let own) = fields else {
            throw NetworkConfigurationError(
                file: url.path, field: nil, found: "\(fields)", expected: "an object of fields")
        }
        let whole = Set(LatentModelConfiguration.CodingKeys.allCases.map(\.rawValue))
        guard own.keys.allSatisfy({ !whole.contains($0) }) else { return }
        let first = Set(AutoencoderConfiguration.CodingKeys.allCases.map(\.rawValue))
        let second = Set(LatentUNetConfiguration.CodingKeys.allCases.map(\.rawValue))
        let isFirst = !first.subtracting(second).isDisjoint(with: own.keys)
        let isSecond = !second.subtracting(first).isDisjoint(with: own.keys)
        var parts: [String: JSONValue] = [:]
        if isFirst == isSecond {
            let ambiguous = first.intersection(second).subtracting(Self.shared)
            if isFirst, let field = own.keys.filter(ambiguous.contains).min() {
                throw NetworkConfigurationError(
                    file: url.path, field: field, found: "a field that could belong to either network",
                    expected: "the field inside \"first_stage\" or \"denoiser\"")
            }
            // Fields of both networks: each gets those that it has.
            parts["first_stage"] = .object(own.filter { first.contains($0.key) })
            parts["denoiser"] = .object(own.filter { second.contains($0.key) || !first.contains($0.key) })
        } else {
            parts[isFirst ? "first_stage" : "denoiser"] = fields
        }
        fields = .object(parts)
    }

    /// Fields that mean the same in both networks.
    private static let shared: Set = ["num_groups", "num_classes"]

    /// These fields, and others in place of those that both state.
    func adding(_ other: PartialLatentConfiguration) throws -> PartialLatentConfiguration {
        func merged(_ one: JSONValue, _ other: JSONValue) -> JSONValue {
            guard case .object(let fields) = one, case .object(let others) = other else { return other }
            return .object(fields.merging(others) { merged($0, $1) })
        }
        return PartialLatentConfiguration(merged(fields, other.fields), file: other.file ?? file)
    }
}

extension PartialLatentConfiguration {
    /// The configuration of these fields and of what parameters show, and what neither states, as sentences.
    ///
    /// - Throws: `NetworkConfigurationError` where a field is invalid or not what the parameters show;
    ///   `LatentTranslationError` where a field is neither stated nor as published.
    func complete(
        firstStage: LatentFile.Part, denoiser: LatentFile.Part?, process: StoredPath?, scale: Double?
    ) throws -> (LatentModelConfiguration, assumptions: [String]) {
        var shown = LatentModelConfiguration()
        var stated = fields
        if denoiser == nil { stated["denoiser"] = nil }
        do throws(UninferableSize) {
            let resolution = (try? stated["first_stage"]?["resolution"]?.decode(Int.self)) ?? 192
            shown.firstStage = try AutoencoderConfiguration(
                inferredFrom: firstStage.shape, resolution: max(1, resolution))
        } catch {
            throw ParameterError.unknownSizes(
                file: firstStage.file, missing: firstStage.storedName(error.parameter),
                network: "a latent translator")
        }
        shown.denoiser = nil
        if let denoiser {
            do throws(UninferableSize) {
                shown.denoiser = try LatentUNetConfiguration(inferredFrom: denoiser.shape)
            } catch {
                throw ParameterError.unknownSizes(
                    file: denoiser.file, missing: denoiser.storedName(error.parameter),
                    network: "a latent translator")
            }
        }
        try shown.denoiser.map { try Self.checkFit(shown.firstStage, firstStage, $0, denoiser?.file ?? "") }
        let classes = shown.firstStage.classes
        if classes != shown.targets.count { shown.targets = (0..<classes).map { "class\($0)" } }
        if let scale { shown.scale = scale }
        if let process { shown.process = process }

        let configuration: LatentModelConfiguration
        do {
            if let own = stated["process"] {
                shown.process = try own.decode(StoredPath.self, allowsUnknownFields: true)
            }
            try checkStatedFields(of: stated)
            try requireStated(&shown, stated, firstStage: firstStage.file, denoiser: denoiser?.file)
            configuration = try stated.decode(over: shown)
            try checkShown(configuration, shown, firstStage: firstStage.file, denoiser: denoiser?.file ?? "")
            try configuration.validate()
        } catch let error as JSONFieldError {
            throw NetworkConfigurationError(error, file: file)
        } catch var error as NetworkConfigurationError {
            if error.file == nil { error.file = file ?? firstStage.file }
            throw error
        }
        if let process, let betas = try? process.path(), let used = try? configuration.path(),
            (0..<min(betas.trainingTimesteps, used.trainingTimesteps)).contains(where: {
                abs(betas.coefficients(at: $0).variance - used.coefficients(at: $0).variance) > 1e-4
            }) || betas.trainingTimesteps != used.trainingTimesteps
        {
            throw LatentTranslationError.schedule(
                file: denoiser?.file ?? firstStage.file,
                reason: "'betas' in the file are not those of the process that the configuration states")
        }
        return (configuration, assumptions(configuration, stated))
    }

    /// A first stage from another file must be that of the denoiser, as far as sizes tell.
    private static func checkFit(
        _ firstStage: AutoencoderConfiguration, _ part: LatentFile.Part, _ denoiser: LatentUNetConfiguration,
        _ file: String
    ) throws {
        for (field, found, expected) in [
            ("z_channels", firstStage.latentChannels, denoiser.outputChannels),
            ("num_classes", firstStage.classes, denoiser.classes),
        ] where found != expected {
            throw LatentTranslationError.wrongFirstStage(
                denoiser: file, firstStage: part.file, field: field, found: found, expected: expected)
        }
    }

    /// Takes published values for what shapes do not show and nothing states, where they fit.
    private func requireStated(
        _ shown: inout LatentModelConfiguration, _ stated: JSONValue, firstStage: String, denoiser: String?
    ) throws {
        let groups = GroupNorm.publishedGroups
        if stated["first_stage"]?["num_groups"] == nil, shown.firstStage.channels % groups != 0 {
            throw LatentTranslationError.unstated(
                file: firstStage, field: "num_groups",
                reason:
                    "the \(groups) of published networks do not divide \(shown.firstStage.channels) channels")
        }
        guard let network = shown.denoiser, let denoiser else { return }
        if stated["denoiser"]?["num_groups"] == nil, network.modelChannels % groups != 0 {
            throw LatentTranslationError.unstated(
                file: denoiser, field: "num_groups",
                reason: "the \(groups) of published networks do not divide \(network.modelChannels) channels")
        }
        let widest = network.channelMultipliers.last.map { $0 * network.modelChannels } ?? 0
        if stated["denoiser"]?["num_head_channels"] == nil, widest % network.headChannels != 0 {
            throw LatentTranslationError.unstated(
                file: denoiser, field: "num_head_channels",
                reason: "the \(network.headChannels) of published networks do not divide \(widest) channels")
        }
    }

    /// Reports unknown fields, each by its path.
    private func checkStatedFields(of stated: JSONValue) throws {
        var whole = LatentModelConfiguration()
        whole.denoiser = .published
        _ = try stated.decode(over: whole)
    }

    /// Checks that stated fields equal what the parameters show.
    private func checkShown(
        _ configuration: LatentModelConfiguration, _ shown: LatentModelConfiguration, firstStage: String,
        denoiser: String
    ) throws {
        try check(
            "first_stage", configuration.firstStage.withoutUnshown(of: shown.firstStage),
            shown.firstStage.withoutUnshown(of: shown.firstStage),
            order: AutoencoderConfiguration.CodingKeys.allCases.map(\.rawValue), in: firstStage)
        guard let network = configuration.denoiser, let shown = shown.denoiser else { return }
        try check(
            "denoiser", network.withoutUnshown(of: shown), shown.withoutUnshown(of: shown),
            order: LatentUNetConfiguration.CodingKeys.allCases.map(\.rawValue), in: denoiser)
    }

    private func check(
        _ part: String, _ stated: some Encodable, _ shown: some Encodable, order: [String], in weights: String
    ) throws {
        let (stated, shown) = (try JSONValue(encoding: stated), try JSONValue(encoding: shown))
        for field in order where stated[field] != shown[field] {
            func text(_ value: JSONValue?) throws -> String {
                String(decoding: try (value ?? .null).sortedJSON(), as: UTF8.self)
            }
            throw NetworkConfigurationError(
                file: file, field: "\(part).\(field)", found: try text(stated[field]),
                expected: "\(try text(shown[field])), as the parameters in \(weights) show")
        }
    }

    private func assumptions(_ configuration: LatentModelConfiguration, _ stated: JSONValue) -> [String] {
        let (firstStage, denoiser) = (configuration.firstStage, configuration.denoiser)
        let isPublished =
            [.published, .paper].contains(firstStage)
            && (denoiser.map { [.published, .paper].contains($0) } ?? true)
        guard !isPublished else { return [] }
        var unstated: [String] = []
        if stated["first_stage"]?["num_groups"] == nil {
            unstated.append("first_stage.num_groups \(firstStage.groups)")
        }
        if stated["first_stage"]?["one_plus_gamma"] == nil, firstStage.translator == .table {
            unstated.append("first_stage.one_plus_gamma \(firstStage.usesOnePlusGamma)")
        }
        if let denoiser {
            if stated["denoiser"]?["num_groups"] == nil {
                unstated.append("denoiser.num_groups \(denoiser.groups)")
            }
            if stated["denoiser"]?["num_head_channels"] == nil {
                unstated.append("denoiser.num_head_channels \(denoiser.headChannels)")
            }
        }
        return unstated.map { "nothing states \($0); it is taken as in published networks" }
    }
}

extension AutoencoderConfiguration {
    /// The same with what parameters do not show as in another.
    fileprivate func withoutUnshown(of other: AutoencoderConfiguration) -> AutoencoderConfiguration {
        var known = self
        known.attentionResolutions = attentionLevels.map { resolution >> $0 }
        (known.resolution, known.groups) = (other.resolution, other.groups)
        (known.commitment, known.weighsCodebookTerm) = (other.commitment, other.weighsCodebookTerm)
        known.usesOnePlusGamma = other.usesOnePlusGamma
        return known
    }
}

extension LatentUNetConfiguration {
    /// The same with what parameters do not show as in another.
    fileprivate func withoutUnshown(of other: LatentUNetConfiguration) -> LatentUNetConfiguration {
        var known = self
        known.attentionResolutions = channelMultipliers.indices.map { 1 << $0 }.filter(
            attentionResolutions.contains)
        (known.headChannels, known.groups) = (other.headChannels, other.groups)
        return known
    }
}
