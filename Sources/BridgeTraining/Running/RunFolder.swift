import Foundation
import VoxelSupport

/// The files of a training run.
///
/// | file | content |
/// |---|---|
/// | `manifest.csv` | the subjects' files, for data from a manifest |
/// | `configuration.json` | every setting, including the seed |
/// | `data.txt` | the subjects, with checksums of their prepared volumes |
/// | `checkpoints/step-<n>.safetensors` | the last three states |
/// | `model.safetensors` | the averaged weights at the last checkpoint |
/// | `best.safetensors` | the averaged weights with the lowest validation loss |
/// | `log.jsonl` | the log |
/// | `loss.png` | the loss curves |
/// | `report.html` | a page with the losses, the last samples and the settings, at the end of `voxelbridge train` |
/// | `samples/step-<n>.png` | sampled validation slices |
/// | `style.json` | the average style of the training subjects, for data from a manifest |
/// | `lock` | nothing; locked while the run is active |
/// | `cache` | prepared volumes, unless stored elsewhere |
struct RunFolder: Sendable {
    let url: URL

    /// Number of checkpoints kept.
    static let checkpointsKept = 3

    var configuration: URL { url.appending(path: "configuration.json") }
    var data: URL { url.appending(path: "data.txt") }
    var log: URL { url.appending(path: "log.jsonl") }
    var losses: URL { url.appending(path: "loss.png") }
    var model: URL { url.appending(path: "model.safetensors") }
    var best: URL { url.appending(path: "best.safetensors") }
    private var checkpointFolder: URL { url.appending(path: "checkpoints") }
    private var sampleFolder: URL { url.appending(path: "samples") }

    func checkpoint(_ step: Int) -> URL { checkpointFolder.appending(path: Self.name(step, "safetensors")) }
    func samples(_ step: Int) -> URL { sampleFolder.appending(path: Self.name(step, "png")) }

    /// The last picture of sampled slices.
    var newestSamples: URL? {
        (try? FileManager.default.contentsOfDirectory(atPath: sampleFolder.path))?
            .filter { $0.hasPrefix("step-") && $0.hasSuffix(".png") }.max()
            .map { sampleFolder.appending(path: $0) }
    }

    private static func name(_ step: Int, _ fileExtension: String) -> String {
        String(format: "step-%09d.%@", step, fileExtension)
    }

    /// Whether the folder contains a run.
    var holdsRun: Bool { FileManager.default.fileExists(atPath: configuration.path) }

    /// Creates the folders, and removes what a killed run has left.
    func prepare() throws {
        let files = FileManager.default
        for folder in [checkpointFolder, sampleFolder] {
            try files.createDirectory(at: folder, withIntermediateDirectories: true)
        }
        let cache = url.appending(path: "cache")
        let isCacheHere = files.fileExists(atPath: cache.path)
        for folder in [url, checkpointFolder, sampleFolder] + (isCacheHere ? [cache] : []) {
            AtomicFile.removeLeftovers(in: folder.path)
        }
        // One too many, if the run was killed after it wrote a checkpoint.
        try removeOldCheckpoints()
    }

    /// The checkpoints, newest first.
    var checkpoints: [URL] {
        get throws {
            try FileManager.default.contentsOfDirectory(atPath: checkpointFolder.path)
                .filter { $0.hasPrefix("step-") && $0.hasSuffix(".safetensors") }
                .sorted(by: >).map { checkpointFolder.appending(path: $0) }
        }
    }

    /// Removes all but the newest checkpoints.
    func removeOldCheckpoints() throws {
        for file in try checkpoints.dropFirst(Self.checkpointsKept) {
            try FileManager.default.removeItem(at: file)
        }
    }
}

/// Exclusive use of a run's folder while the instance exists.
///
/// It is a lock on the file `lock` in the folder, which is never removed.
struct FolderLock: Sendable {
    private let lock: FileLock

    /// Locks an existing folder.
    ///
    /// - Throws: `TrainingError.locked` if it is locked already; the system's error if the file cannot be created.
    init(_ folder: URL) throws {
        do { lock = try FileLock(folder.appending(path: "lock")) } catch {
            throw error.code == EWOULDBLOCK ? TrainingError.locked(folder: folder.path) : error
        }
    }
}
