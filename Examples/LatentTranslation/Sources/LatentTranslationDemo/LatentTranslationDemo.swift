import Foundation
import LatentTranslation
import VolumeIO
import VolumePhantoms

/// Translates one source to three targets with a 3-D latent model.
///
///     swift run -c release --package-path Examples/LatentTranslation LatentTranslationDemo [MODEL SOURCE FOLDER]
///
/// Without arguments it makes up a tiny model of random weights and a synthetic head, which takes a few seconds: the
/// path is the real one, and the pictures mean nothing. With them it writes a file for each target.
@main
struct LatentTranslationDemo {
    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst()
        guard !arguments.isEmpty else { return try await demonstrate() }
        guard arguments.count == 3, let folder = arguments.last else {
            print("usage: LatentTranslationDemo [MODEL SOURCE FOLDER]")
            exit(2)
        }
        let model = try LatentModel(contentsOf: arguments[arguments.startIndex])
        let source = try Volume(contentsOf: arguments[arguments.startIndex + 1])
        let results = try await translate(source, by: model, targets: Array(model.targets.prefix(3)))
        for (target, volume) in results {
            try volume.write(to: URL(filePath: folder).appending(path: "\(target).nii.gz"))
        }
    }

    /// One source to several targets: it is prepared and encoded once.
    static func translate(
        _ source: Volume, by model: LatentModel, targets: [String], steps: Int = 200
    ) async throws -> [(target: String, volume: Volume)] {
        let translator = try LatentVolumeTranslator(model, steps: steps)
        let encoded = try await translator.encode(source)
        print("source   \(source)")
        print("latent   \(encoded.latent.shape), of \(encoded.prepared.grid)")
        var results: [(String, Volume)] = []
        for target in targets {
            let volume = try await translator.translate(encoded, to: target)
            print(target.padding(toLength: 9, withPad: " ", startingAt: 0) + "\(volume)")
            results.append((target, volume))
        }
        return results
    }

    /// The whole path with random weights, and what must hold for any weights.
    static func demonstrate() async throws {
        print("The weights are random: the path is the real one, and the pictures mean nothing.")
        var random = RandomModel(seed: 1)
        let model = try random.model()
        let head = PhantomCohort(seed: 5, shape: [48, 56, 48], spacing: 4, source: .brain).subject(0)
        let targets = ["t1ce", "t2", "flair"]
        let results = try await translate(head.target, by: model, targets: targets, steps: 8)
        let again = try await translate(head.target, by: model, targets: targets, steps: 8)
        var failures = 0
        func check(_ name: String, _ holds: Bool) {
            print((holds ? "ok      " : "FAILED  ") + name)
            failures += holds ? 0 : 1
        }
        check("results lie on the source's grid", results.allSatisfy { $0.volume.grid == head.target.grid })
        check("the same input gives the same bits", zip(results, again).allSatisfy { $0.volume == $1.volume })
        check("each target has its own result", Set(results.map { $0.volume.voxels }).count == targets.count)
        if failures > 0 { exit(1) }
    }
}
