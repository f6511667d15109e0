import ArgumentParser
import BridgeTraining
import Foundation
import VoxelBridge

/// The subjects to translate.
struct CohortOptions: ParsableArguments {
    @Argument(help: "The table of subjects (.csv) written by 'voxelbridge phantom'.")
    var manifest: String

    @Option(help: "The split of the subjects.")
    var split = Manifest.Split.test

    @Option(help: "The maximum number of subjects.")
    var subjects = 100

    func validate() throws {
        guard subjects > 0 else { throw ValidationError("--subjects must be at least 1, but is \(subjects)") }
    }

    /// The subjects, in the order of the table.
    func chosen() throws -> [Manifest.Subject] {
        let chosen = try Manifest(contentsOf: URL(filePath: manifest)).subjects
            .filter { $0.split == split }.prefix(subjects)
        guard !chosen.isEmpty else {
            throw ValidationError("\(manifest): no subject has the split \(split.rawValue)")
        }
        return Array(chosen)
    }
}

extension Manifest.Split: @retroactive ExpressibleByArgument {}

extension Manifest.Subject {
    /// The CT and the T1 image, the latter in [0, 1] by the rule of the networks' targets.
    func volumes() throws -> (source: Volume, truth: Volume) {
        (
            try Volume(contentsOf: source),
            try RescaleIntensity(.minMax).apply(to: Volume(contentsOf: target)).volume
        )
    }
}
