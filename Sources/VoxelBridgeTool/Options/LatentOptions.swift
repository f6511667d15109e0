import ArgumentParser
import Foundation
import LatentTranslation
import VoxelBridge

/// The options of 'translate' that only 3-D latent models have.
struct LatentOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A target modality, by name or index; repeat it for several.",
            discussion: "The source is encoded once. 'voxelbridge info MODEL' lists the targets."))
    var target: [String] = []

    @OptionGroup
    var files: FirstStageOption

    @Option(
        help: "The share of fresh noise in each step, 0 to 1. (default: 1, as published; 0 is deterministic)")
    var eta: Double?

    @Option(help: "The seed of the noise. (default: 0)")
    var seed: UInt64?

    @Option(
        help: ArgumentHelp(
            "A file of noise, to compare with other software (.safetensors).",
            discussion: """
                Tensor noise (1, channels, x, y, z) is what sampling starts at; tensor noises (steps, 1, channels, x, \
                y, z), if present, is the fresh noise of each step with --eta above 0.
                """))
    var noise: String?

    @Option(
        help: "A volume on the source's grid, such as the subject's T1, whose positive voxels give the crop.")
    var reference: String?

    @Option(
        help: ArgumentHelp(
            "The voxels of the crop, such as 144x192x144, or 'fit' for all of the foreground.",
            discussion: "Default: the model's, else 144x192x144."))
    var shape: String?

    @Option(
        help: ArgumentHelp(
            "Translate in overlapping tiles of this many voxels along each axis, to save memory.",
            discussion: """
                An approximation: normalisations and attention see one tile at a time. A tile that covers the volume \
                changes nothing.
                """))
    var tile: Int?

    @Option(help: "Voxels that neighbouring tiles share along each axis. (default: about a quarter of --tile)")
    var overlap: Int?

    @Flag(help: "Quantise the sampled latent before it is decoded.")
    var requantise = false

    @Flag(
        help: ArgumentHelp(
            "Write the source's latent to OUTPUT (.safetensors) and stop.",
            discussion: """
                Tensor latent (1, channels, x, y, z), and for each --target the translator's latent as \
                translated.TARGET.
                """))
    var encodeOnly = false

    @Flag(help: "Decode tensor latent of SOURCE (.safetensors), a file of --encode-only, to a volume.")
    var decode = false

    /// The options that were given, for a model that has none of them.
    private var given: [String] {
        let named: [(String, Bool)] = [
            ("--target", !target.isEmpty), ("--first-stage", files.firstStage != nil), ("--eta", eta != nil),
            ("--seed", seed != nil), ("--noise", noise != nil), ("--reference", reference != nil),
            ("--shape", shape != nil), ("--tile", tile != nil), ("--overlap", overlap != nil),
            ("--requantise", requantise), ("--encode-only", encodeOnly), ("--decode", decode),
        ]
        return named.filter(\.1).map(\.0)
    }

    func validate() throws {
        if let eta { try require((0...1).contains(eta), "--eta must be from 0 to 1, but is \(eta)") }
        try require(tile != nil || overlap == nil, "--overlap requires --tile")
        try require(
            !(encodeOnly && decode), "--encode-only and --decode cannot be used together; give only one")
        let ofSampling: Set = ["--target", "--eta", "--seed", "--noise", "--reference", "--shape"]
        if decode, let ignored = given.first(where: ofSampling.contains) {
            throw ValidationError("--decode takes a latent as it is; leave out \(ignored)")
        }
        _ = try shapeOfCrop()
    }

    /// Refuses these options for a model that is not a latent one.
    func refuse(for model: String) throws {
        guard let first = given.first else { return }
        throw ValidationError(
            "\(first) applies only to 3-D latent models, and \(model) is not one; leave it out")
    }

    /// The shape that `--shape` gives; `[]` for `fit`, nil where it is not given.
    private func shapeOfCrop() throws -> [Int]? {
        guard let shape, shape != "fit" else { return shape.map { _ in [] } }
        let numbers = shape.lowercased().split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
        guard numbers.count == 3, !numbers.contains(nil) else {
            throw ValidationError("--shape must be like 144x192x144, or 'fit', but is '\(shape)'")
        }
        return numbers.compactMap(\.self)
    }

    /// A model's configuration with the options for the preparation of sources.
    func preparation(of configuration: LatentModelConfiguration, spacing: Double?) throws -> LatentPreparation {
        var configuration = configuration
        if let shape = try shapeOfCrop() { configuration.preparation.shape = shape.isEmpty ? nil : shape }
        if let spacing { configuration.preparation.spacing = spacing }
        do { try configuration.validate() } catch {
            let option = error.field == "preparation.shape" ? "--shape" : error.field ?? "the configuration"
            throw ValidationError("\(option): found \(error.found); expected \(error.expected)")
        }
        return configuration.preparation
    }

    /// The tiles.
    func tiling(for configuration: LatentModelConfiguration) throws -> LatentTiling? {
        guard let tile else { return nil }
        let multiple = configuration.sizeMultiple
        try require(
            tile > 0 && tile % multiple == 0, "--tile must be a multiple of \(multiple), but is \(tile)")
        let overlap = overlap ?? tile / 4 / multiple * multiple
        let most = tile / 2 / multiple * multiple
        try require(
            (0...most).contains(overlap) && overlap % multiple == 0,
            "--overlap must be a multiple of \(multiple) from 0 to \(most), but is \(overlap)")
        return LatentTiling(size: tile, overlap: overlap)
    }

    /// The noise of a file in place of the seed's.
    ///
    /// - Parameter latent: the shape of a latent, as the file has it.
    func givenNoise(latent: [Int]) throws -> (start: Tensor, steps: [Tensor]?)? {
        guard let noise else { return nil }
        let file = try Safetensors(contentsOf: noise)
        func read(_ name: String, as shape: [Int]) throws -> Tensor {
            let tensor = try naming(noise) { try file.tensor(name) }
            guard tensor.shape == shape else {
                throw FileFailure(
                    path: noise, reason: "tensor '\(name)' has shape \(tensor.shape); expected \(shape)")
            }
            return tensor
        }
        let start = try read("noise", as: latent).reversingSpatialAxes()
        guard eta ?? 1 > 0, let steps = file.shape(of: "noises")?.first else { return (start, nil) }
        let noises = try read("noises", as: [steps] + latent)
        return (
            start,
            (0..<steps).map { noises.slice(axis: 0, $0..<$0 + 1).reshaped(latent).reversingSpatialAxes() }
        )
    }
}

/// Where the first stage of a latent model lies.
struct FirstStageOption: ParsableArguments {
    @Option(
        help:
            "The file of a 3-D latent model's first stage, where its denoiser's has none (.safetensors or .ckpt)."
    )
    var firstStage: String?
}

extension WeightsOptions {
    /// Finds and checks the weights of a latent model, with the configurations given, or else those beside its files.
    func findLatent(in model: String, firstStage: String?) throws -> LatentWeights {
        var configurations = config
        if configurations.isEmpty {
            configurations = [firstStage, model].compactMap(\.self).map {
                URL(filePath: $0).deletingPathExtension().appendingPathExtension("json").path
            }.filter { FileManager.default.fileExists(atPath: $0) }
        }
        let selection = weights.flatMap { LatentWeights.Selection(rawValue: $0.rawValue) }
        do {
            return try LatentWeights(
                contentsOf: model, firstStage: firstStage, configurations: configurations, selection: selection)
        } catch let error as LatentTranslationError {
            guard case .unstated(let file, let field, let reason) = error else { throw error }
            throw FileFailure(
                path: file,
                reason: """
                    nothing states \(field), and \(reason); give it with --config FILE.json, where FILE.json contains \
                    {"\(field)": 8} if it is 8
                    """)
        }
    }
}
