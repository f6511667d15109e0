import Foundation
import TestSupport
import VoxelBridge

/// Pairs of volumes, their table, and settings with which a network is trained in a moment.
enum TrainingPairs {
    /// Settings, with more fields of the network and of the whole.
    static func settings(network: String = "\"context_dim\": 16", _ more: String = "") -> String {
        """
        { "network": { "model_channels": 32, "channel_mult": [1, 1], "num_res_blocks": 1, "num_head_channels": 32,
                       "attention_resolutions": [], \(network) },
          "data": { "spacing": 8, "minimum_foreground": 10 }, "batch": 2, "steps": 10,
          "optimizer": { "learning_rate": 0.001 }, "moving_average": { "start": 2, "interval": 1 },
          "intervals": { "log": 2, "validation": 4, "samples": 5, "checkpoint": 2 },
          "validation": { "windows": 4, "samples": 2, "sampling_steps": 3 } \(more) }
        """
    }

    /// A folder with pairs of volumes, their table `pairs.csv`, and settings `config.json`.
    static func withFolder(_ settings: String = settings(), _ body: (URL) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            for (index, name) in ["anna", "ben", "carl"].enumerated() {
                let brain = Volume.brainPhantom(
                    on: VoxelGrid(shape: [14, 16, 12], spacing: [5, 5, 5]), grey: 60 + Double(10 * index))
                try brain.write(to: folder.appending(path: "\(name)-ct.nii.gz"))
                try brain.map { $0 > 0 ? 150 - $0 : 0 }.write(to: folder.appending(path: "\(name)-t1.nii.gz"))
            }
            try Data(
                """
                subject,split,source,target
                anna,train,anna-ct.nii.gz,anna-t1.nii.gz
                ben,train,ben-ct.nii.gz,ben-t1.nii.gz
                carl,validation,carl-ct.nii.gz,carl-t1.nii.gz
                """.utf8
            ).write(to: folder.appending(path: "pairs.csv"))
            try Data(settings.utf8).write(to: folder.appending(path: "config.json"))
            try await body(folder)
        }
    }

    /// The command that trains on them.
    static func arguments(_ folder: URL, run: String) -> [String] {
        [
            "train", "--data", folder.appending(path: "pairs.csv").path, "--config",
            folder.appending(path: "config.json").path, "--output", folder.appending(path: run).path,
        ]
    }
}
