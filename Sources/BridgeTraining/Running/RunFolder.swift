import Foundation

/// The folder of a run: where each thing lies.
///
/// | file | holds |
/// |---|---|
/// | `manifest.csv` | the subjects' files, where the data are those of a manifest |
/// | `configuration.json` | every setting, the seed among them |
/// | `data.txt` | the subjects, with checksums of their prepared volumes |
/// | `checkpoints/step-<n>.safetensors` | the last three states |
/// | `model.safetensors` | the moving average of the weights at the last checkpoint |
/// | `best.safetensors` | the same where the validation loss was least |
/// | `log.jsonl` | the log |
/// | `loss.png` | the log's losses |
/// | `samples/step-<n>.png` | sampled validation slices |
/// | `style.json` | the average style of the training subjects, where the data are those of a manifest |
/// | `lock` | nothing: it is locked while the run is at work |
/// | `cache` | prepared volumes, unless they lie elsewhere |
struct RunFolder: Sendable {
    let url: URL

    /// How many checkpoints are kept.
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

    private static func name(_ step: Int, _ fileExtension: String) -> String {
        String(format: "step-%09d.%@", step, fileExtension)
    }

    /// Whether a run has begun here.
    var holdsRun: Bool { FileManager.default.fileExists(atPath: configuration.path) }

    /// Makes the folders, and removes what was being written when a run was killed.
    func prepare() throws {
        let files = FileManager.default
        for folder in [checkpointFolder, sampleFolder] {
            try files.createDirectory(at: folder, withIntermediateDirectories: true)
        }
        let cache = url.appending(path: "cache")
        let isCacheHere = files.fileExists(atPath: cache.path)
        for folder in [url, checkpointFolder, sampleFolder] + (isCacheHere ? [cache] : []) {
            for name in try files.contentsOfDirectory(atPath: folder.path)
            where name.hasPrefix(".") && name.hasSuffix(".partial") {
                try files.removeItem(at: folder.appending(path: name))
            }
        }
    }

    /// The checkpoints, the newest first.
    var checkpoints: [URL] {
        get throws {
            try FileManager.default.contentsOfDirectory(atPath: checkpointFolder.path)
                .filter { $0.hasPrefix("step-") && $0.hasSuffix(".safetensors") }
                .sorted(by: >).map { checkpointFolder.appending(path: $0) }
        }
    }

    /// Removes all but the last checkpoints.
    func removeOldCheckpoints() throws {
        for file in try checkpoints.dropFirst(Self.checkpointsKept) {
            try FileManager.default.removeItem(at: file)
        }
    }
}
