import ArgumentParser
import Foundation
import VoxelBridge
import VoxelSupport

/// Makes results from sources.
struct BidsMaker: Sendable {
    private let translation: any FileTranslation
    private let model: String
    private let source: BidsDataset
    private let derivative: BidsDerivative
    private let masks: BidsDataset?
    private let maskMethod: String?
    private let isSkullStripped: Bool
    private let logging: LoggingOptions
    private let jobs: Int
    /// The part of the provenance that all results share.
    private let shared: [String: JSONValue]

    init(
        translation: any FileTranslation, model: String, command: BidsCommand, source: BidsDataset,
        derivative: BidsDerivative, masks: BidsDataset?
    ) throws {
        (self.translation, self.model, self.source) = (translation, model, source)
        (self.derivative, self.masks, logging, jobs) = (derivative, masks, command.logging, command.jobs)
        maskMethod = masks == nil ? command.translation.intensities.mask : nil
        isSkullStripped = command.skullStripped
        var shared: [String: JSONValue] = [
            "Version": .string(VoxelBridge.configuration.version), "Model": .string(model),
            "Settings": .object(try translation.settings),
        ]
        for (name, files) in Dictionary(grouping: translation.inputs, by: \.name) {
            let values = try files.map { try Self.file(URL(filePath: $0.path)) }
            shared[name] = values.count == 1 ? values[0] : .array(values)
        }
        self.shared = shared
    }

    // MARK: One result

    /// Where a result stands.
    func status(of result: BidsResult) throws -> BidsDerivative.Status {
        try derivative.status(of: result, sidecar: sidecar(of: result))
    }

    /// What is written beside a result, but the fingerprint of the result.
    private func sidecar(of result: BidsResult) throws -> [String: JSONValue] {
        var provenance = shared
        provenance["Source"] = try Self.file(source.url(result.source.path))
        if !result.target.isEmpty { provenance["Target"] = .string(result.target) }
        var sources = ["bids:\(BidsDerivative.sourceLink):\(result.source.path)"]
        if let masks {
            let mask = try self.mask(for: result.source, in: masks).path
            sources.append("bids:\(BidsDerivative.masksLink):\(mask)")
            provenance["Mask"] = try Self.file(masks.url(mask))
        } else if let maskMethod {
            provenance["Mask"] = .string(maskMethod)
        }
        let metadata = try source.metadata(of: result.source)
        // Of the source's metadata, what is true of the result too: it was not acquired.
        var sidecar = metadata.filter { ["SpatialReference", "Resolution"].contains($0.key) }
        let means = model == "histogram" ? "histogram matching" : URL(filePath: model).lastPathComponent
        sidecar["Description"] = .string(
            """
            Synthetic, not acquired: translated from the \(result.source.name.suffix) by VoxelBridge with \(means). \
            Intensities are relative.
            """)
        sidecar["Sources"] = .array(sources.map { .string($0) })
        let isMaskedBrain = maskMethod == MaskMethod.brain.rawValue || masks != nil
        sidecar["SkullStripped"] =
            isMaskedBrain || isSkullStripped ? .bool(true) : metadata["SkullStripped"] ?? .bool(false)
        sidecar[BidsDerivative.provenanceField] = .object(provenance)
        return sidecar
    }

    /// A file's name, and the fingerprint of its bytes.
    private static func file(_ url: URL) throws -> JSONValue {
        let fingerprint = try naming(url.path) { try Fingerprint(contentsOf: url) }
        return .object(["File": .string(url.lastPathComponent), "Fingerprint": .string(fingerprint.text)])
    }

    /// The mask of a source: of the same subject, session and run; that of the brain if there are several.
    private func mask(for file: BidsDataset.File, in masks: BidsDataset) throws -> BidsDataset.File {
        var example = file.name.keeping { ["sub", "ses"].contains($0.key) }.describing("brain")
        (example.suffix, example.fileExtension) = ("mask", ".nii.gz")
        let all = try isFolder(masks.url("sub-\(file.subject)")) ? masks.volumes(of: file.subject) : []
        guard
            let mask = BidsMatch.best(
                of: all.filter { $0.name.suffix == "mask" && $0.visit == file.visit }, for: file.name,
                preferring: { $0["desc"] == "brain" })
        else {
            throw FileFailure(
                path: masks.folder.path,
                reason: "there is no mask for \(file.path), or more than one; expected one such as "
                    + "\(file.name.folder)/anat/\(example.file)")
        }
        return mask
    }

    // MARK: All results

    /// What was done.
    struct Outcome {
        var made = 0
        var skipped = 0
        var failures: [BidsPlan.Failure] = []
    }

    /// Makes the results that are not done, some volumes at a time.
    ///
    /// - Throws: an error about the command line or the model, which all volumes would have. Errors of a volume are
    ///   among the outcome's failures.
    func make(_ volumes: [BidsPlan.Volume], jobs: Int) async throws -> Outcome {
        var outcome = Outcome()
        let progress = logging.quiet || jobs == 1 ? nil : ProgressLine(label: "Translating")
        try await withThrowingTaskGroup(of: Outcome.self) { group in
            var (next, done) = (0, 0)
            func add() {
                guard next < volumes.count else { return }
                let (volume, label) = (volumes[next], "\(next + 1) of \(volumes.count)")
                next += 1
                group.addTask { try await make(volume, label: label) }
            }
            for _ in 0..<min(jobs, volumes.count) { add() }
            for try await part in group {
                outcome.made += part.made
                outcome.skipped += part.skipped
                outcome.failures += part.failures
                done += 1
                progress?.show(done, of: volumes.count, detail: "volume \(done) of \(volumes.count)")
                add()
            }
        }
        return outcome
    }

    private func make(_ volume: BidsPlan.Volume, label: String) async throws -> Outcome {
        var outcome = Outcome()
        do {
            let toDo = try volume.results.filter { try status(of: $0) != .done }
            outcome.skipped = volume.results.count - toDo.count
            for path in volume.results.filter({ !toDo.contains($0) }).map(\.path) {
                logging.logger.debug("\(path) is done")
            }
            guard !toDo.isEmpty else { return outcome }
            outcome.made = try await translate(volume.source, to: toDo, label: label)
            outcome.skipped += toDo.count - outcome.made
        } catch let error as ValidationError {
            throw error
        } catch let error as CancellationError {
            throw error
        } catch {
            logging.logger.error("sub-\(volume.source.subject): \(message(of: error))")
            outcome.failures.append(.init(subject: volume.source.subject, message: message(of: error)))
        }
        return outcome
    }

    /// Translates a source to results that were not done.
    ///
    /// - Returns: how many were made, and not by another process meanwhile.
    private func translate(
        _ file: BidsDataset.File, to results: [BidsResult], label: String
    ) async throws -> Int {
        var work: [(result: BidsResult, scratch: ScratchFolder, sidecar: [String: JSONValue])] = []
        for result in results {
            let scratch = try await lock(derivative.scratch(for: result))
            let sidecar = try sidecar(of: result)
            if try derivative.status(of: result, sidecar: sidecar) == .done {
                scratch.remove()
            } else {
                work.append((result, scratch, sidecar))
            }
        }
        guard !work.isEmpty else { return 0 }
        let outputs = try work.map { result, scratch, sidecar in
            var fingerprint = Fingerprint()
            for byte in try sidecar.sortedJSON(prettyPrinted: true) { fingerprint.combine(UInt64(byte)) }
            let state = "\(fingerprint.text).state"
            // The rest of an interrupted run, unless this one continues it.
            try scratch.clean(except: state)
            return TranslationFiles.Output(
                target: result.target, path: scratch.folder.appending(path: "result.nii.gz").path,
                state: scratch.folder.appending(path: state).path, isAnnounced: false)
        }
        let mask = try masks.map { $0.url(try self.mask(for: file, in: $0).path).path }
        let subject = "sub-\(file.subject)"
        do {
            try await translation.translate(
                TranslationFiles(
                    source: source.url(file.path).path, mask: mask, outputs: outputs,
                    label: jobs == 1 ? "\(subject), \(label)," : nil))
        } catch {
            for ((_, scratch, _), output) in zip(work, outputs) where !isThere(output.state) {
                scratch.remove()
            }
            throw error
        }
        for ((result, scratch, sidecar), output) in zip(work, outputs) {
            try derivative.publish(URL(filePath: output.path), sidecar: sidecar, as: result)
            scratch.remove()
            logging.logger.info("Wrote \(derivative.url(result.path).path)")
        }
        return work.count
    }

    private func isThere(_ path: String?) -> Bool {
        path.map { FileManager.default.fileExists(atPath: $0) } ?? false
    }

    /// Locks a folder, once no other process has it.
    private func lock(_ folder: URL) async throws -> ScratchFolder {
        var isWaiting = false
        while true {
            if let scratch = try ScratchFolder(folder) { return scratch }
            if !isWaiting {
                logging.logger.info("Another process is making \(folder.lastPathComponent); waiting for it")
            }
            isWaiting = true
            try await Task.sleep(for: .milliseconds(500))
        }
    }
}

/// The one file that belongs to another.
enum BidsMatch {
    /// Of some files, the one with the most entities of a name; nil if there is none, or several.
    static func best(
        of files: [BidsDataset.File], for name: BidsName,
        preferring isPreferred: (BidsName) -> Bool = { _ in false }
    ) -> BidsDataset.File? {
        func score(_ file: BidsDataset.File) -> Int {
            2 * name.entities.count { $0.key != "desc" && file.name[$0.key] == $0.label }
                + (isPreferred(file.name) ? 1 : 0)
        }
        let best = files.map(score).max()
        let candidates = files.filter { score($0) == best }
        return candidates.count == 1 ? candidates[0] : nil
    }
}
