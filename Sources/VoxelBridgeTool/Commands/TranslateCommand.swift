import ArgumentParser
import Foundation
import LatentTranslation
import Logging
import RemoteDenoising
import VolumeFigures
import VoxelBridge

struct TranslateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "translate",
        abstract: "Translate a volume to the style of another modality or scanner.",
        discussion: """
            The result has the source's grid, intensities from 0 to 1, and 0 in the background of the source as prepared.

            With a network (50 steps, 99 evaluations of each window):
              voxelbridge translate ct.nii.gz mri.nii.gz --model run/model.safetensors \\
                  --style run/style.json

            A network trained by 'voxelbridge train' contains its process, prediction type, spacing, plane and how \
            intensities are scaled; for other networks give the settings that differ from the published ones. A CT of a \
            whole head, for a network trained on skull-stripped brains in the window of 0 to 80 HU:
              voxelbridge translate ct.nii.gz mri.nii.gz --model run/model.safetensors \\
                  --style run/style.json --window 0,80 --mask brain

            Without a network, to match a T1 image to the intensities of another scanner:
              voxelbridge translate t1.nii.gz harmonised.nii.gz --model histogram --style other.nii.gz

            With a 3-D latent model (200 steps with fresh noise), to one modality or several; the intensities at the \
            low and high percentile become 0 and 1, and those beyond are kept:
              voxelbridge translate t1.nii.gz t2.nii.gz --model aldm.safetensors --target t2
              voxelbridge translate t1.nii.gz 'out/{target}.nii.gz' --model aldm.safetensors \\
                  --target t2 --target flair

            With networks on servers, this program's own ('voxelbridge serve') or any that speaks the Open Inference \
            Protocol, such as Triton or MLServer; --model is then the model's name there:
              voxelbridge translate ct.nii.gz mri.nii.gz --server http://gpu-1:8000 \\
                  --server http://gpu-2:8000 --style run/style.json

            Modes: independent (windows do not interact), co-predict (overlapping windows are averaged at each \
            step), ista (co-predict, with corrections by the score after each step), ista-middle (ista, with the \
            score of each window's middle slice).
            """)

    @Argument(help: "The volume to translate (.nii or .nii.gz).")
    var source: String

    @Argument(
        help: "The file to write (.nii or .nii.gz); with several targets a folder, or a name with {target}.")
    var output: String

    @Option(
        name: .customLong("model"),
        help: ArgumentHelp(
            "A network's weights (.safetensors, .pth or .ckpt), or 'histogram' for histogram matching.",
            discussion: """
                With --server: the model's name on the servers, or its description (.json). Default there: denoiser.
                """))
    var givenModel: String?

    var model: String { givenModel ?? RemoteModel().name }

    @OptionGroup
    var translation: TranslationOptions

    @Option(
        help: ArgumentHelp(
            "A file for the state after each step, from which an interrupted translation continues.",
            discussion: """
                After an interruption, run the same command again; the result is bit-identical. The file is removed \
                when the result is written.
                """))
    var state: String?

    @Option(
        help: ArgumentHelp(
            "A folder for a report, index.html, to open in a browser; it is created if necessary.",
            discussion: "It shows slices of the source and the result, histograms, and the settings."))
    var report: String?

    @OptionGroup(title: "Servers")
    var servers: ServerOptions

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    func validate() throws {
        guard servers.urls.isEmpty else { return }
        try require(
            givenModel != nil, "Missing expected argument '--model <model>', or '--server <server>'")
        try translation.check(with: model)
    }

    func run() async throws {
        if !servers.urls.isEmpty { return try await translateRemotely() }
        let work = try translation.translation(by: model, logging: logging)
        let inputs = [source] + work.inputs.map(\.path)
        if let latent = work as? LatentModelTranslation {
            return try await run(latent, inputs: inputs)
        }
        try checkOutput(output, extensions: volumeExtensions, inputs: inputs)
        if let state { try checkOutput(state, extensions: [""], inputs: inputs + [output]) }
        try await work.translate(
            TranslationFiles(
                source: source, outputs: [.init(path: output, state: state, report: report)],
                label: "Translating"))
    }
}

// MARK: 3-D latent models

extension TranslateCommand {
    private func run(_ work: LatentModelTranslation, inputs: [String]) async throws {
        if translation.latent.decode {
            try checkOutput(output, extensions: volumeExtensions, inputs: inputs)
            return try await work.decode(source, to: output)
        }
        if translation.latent.encodeOnly {
            try checkOutput(output, extensions: [".safetensors"], inputs: inputs)
            return try await work.encode(source, to: output)
        }
        let outputs = try latentOutputs(for: work.targets, inputs: inputs)
        for output in outputs {
            guard let state = output.state else { continue }
            try checkOutput(state, extensions: [""], inputs: inputs + outputs.map(\.path))
        }
        try await work.translate(
            TranslationFiles(
                source: source, outputs: outputs, newFolder: isOutputFolder ? output : nil, label: "Translating"
            ))
    }

    /// A file for each target: OUTPUT, OUTPUT with the name in place of {target}, or a file of the target's name in the
    /// folder OUTPUT.
    private func latentOutputs(
        for targets: [String], inputs: [String]
    ) throws -> [TranslationFiles.Output] {
        let isNamed = output.contains("{target}")
        if !isNamed && !isOutputFolder {
            try require(
                targets.count == 1,
                "with several targets the output must be a folder, or a name with {target}, such as "
                    + "'out/{target}.nii.gz', but is \(output)")
        }
        let folder = URL(filePath: output)
        // A folder that does not exist is made once the source is known to be right.
        let isNew = isOutputFolder && !isFolder(folder)
        if isNew {
            try checkParent(ofOutput: folder)
            try require(
                !FileManager.default.fileExists(atPath: folder.standardizedFileURL.path),
                "the output, \(output), exists and is not a folder; choose another name")
        }
        return try targets.map { target in
            let path =
                isNamed
                ? output.replacing("{target}", with: target)
                : isOutputFolder ? folder.appending(path: "\(target).nii.gz").path : output
            if !isNew { try checkOutput(path, extensions: volumeExtensions, inputs: inputs) }
            return .init(
                target: target, path: path,
                state: try self.path(state, of: "--state", for: target, among: targets),
                report: try self.path(report, of: "--report", for: target, among: targets))
        }
    }

    /// Whether the output is a folder, in which each target has a file.
    private var isOutputFolder: Bool {
        !output.contains("{target}") && (isFolder(URL(filePath: output)) || output.hasSuffix("/"))
    }

    /// The path that an option gives for a target.
    private func path(
        _ path: String?, of option: String, for target: String, among targets: [String]
    ) throws -> String? {
        guard let path else { return nil }
        try require(
            targets.count == 1 || path.contains("{target}"),
            "with several targets the name of \(option) must contain {target}, but is \(path)")
        return path.replacing("{target}", with: target)
    }
}
