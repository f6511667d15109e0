import Foundation
import TestSupport
import Testing
import VolumeRegistration
import VoxelBridge

/// `voxelbridge register`.
struct RegisterTests {
    private let fixed = Volume.brainPhantom(on: VoxelGrid(shape: [40, 46, 36], spacing: [2, 2, 2]))
    private let motion = RigidTransform(degrees: [6, -4, 8], millimetres: [5, -3, 4], about: [39, 45, 35])

    private func withVolumes(_ body: (_ path: (String) -> String) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            try fixed.write(to: folder.appending(path: "fixed.nii"))
            try fixed.map { $0 > 0 ? 120 - $0 : 0 }.moved(by: motion)
                .write(to: folder.appending(path: "moving.nii.gz"))
            try fixed.map { _ in 1 }.write(to: folder.appending(path: "flat.nii"))
            try await body { folder.appending(path: $0).path }
        }
    }

    private func distance(_ transform: RigidTransform) -> Double {
        let rest = transform.after(motion)
        return [SIMD3(30.0, 40, 30), [60, 30, 50], [39, 70, 20]].map { (point: SIMD3<Double>) -> Double in
            let gap = rest(point) - point
            return (gap * gap).sum().squareRoot()
        }.max()!
    }

    @Test func theAlignedVolumeAndTheTransformAreWritten() async throws {
        try await withVolumes { path in
            let outcome = try await Tool.succeed(
                "register", path("moving.nii.gz"), path("fixed.nii"), "--output", path("aligned.nii"),
                "--transform", path("t.tfm"), "--samples", "60000")
            // A slow machine shows progress, too.
            let messages = outcome.messages.split(separator: "\n").filter { !$0.hasPrefix("Registering ") }
            #expect(messages == ["Wrote \(path("t.tfm"))", "Wrote \(path("aligned.nii"))"])
            for word in ["rotation", "translation", "similarity", "at the start", "overlap"] {
                #expect(outcome.output.contains(word), "\(outcome.output)")
            }
            #expect(try distance(RigidTransform(contentsOf: path("t.tfm"))) < 0.6)
            let aligned = try Volume(contentsOf: path("aligned.nii"))
            #expect(aligned.grid == fixed.grid)

            // The transform is read back, and applied to the header of another volume.
            let again = try await Tool.succeed(
                "register", path("moving.nii.gz"), path("fixed.nii"), "--initial", path("t.tfm"),
                "--only-apply",
                "--apply", "header", "--output", path("moved.nii"), "--transform", path("t.json"), "--json",
                "-q")
            #expect(again.messages.isEmpty && again.output.contains("\"matrix\""))
            let moved = try Volume(contentsOf: path("moved.nii"))
            #expect(moved.voxels == (try Volume(contentsOf: path("moving.nii.gz"))).voxels)
            #expect(moved.grid.affine.largestDifference(from: fixed.grid.affine) < 1.5)
            #expect(try distance(RigidTransform(contentsOf: path("t.json"))) < 0.6)
        }
    }

    @Test func theResultIsPrintedAsJSON() async throws {
        struct Report: Decodable {
            let transform: RigidTransform
            let similarity, overlap: Double
            let warnings: [String]
        }
        try await withVolumes { path in
            let outcome = try await Tool.succeed(
                "register", path("moving.nii.gz"), path("fixed.nii"), "--transform", path("t.json"), "--json",
                "--mask", path("fixed.nii"), "--threads", "1")
            let report = try JSONDecoder().decode(Report.self, from: Data(outcome.output.utf8))
            #expect(distance(report.transform) < 0.6)
            #expect(report.similarity > 1.1 && report.overlap > 0.9 && report.warnings.isEmpty)
        }
    }

    @Test(arguments: [
        (["--search-angle", "91"], "--search-angle must be from 0 to 90"),
        (["--samples", "10"], "--samples must be from 1000"),
        (["--bins", "7"], "--bins must be from 8 to 256"),
        (["--minimum-overlap", "2"], "--minimum-overlap must be from 0 to 1"),
        (["--only-apply"], "--initial FILE"),
        (["--transform", "t.mat"], ".json or .txt or .tfm"),
        (["--output", "t.json"], ".nii or .nii.gz"),
    ])
    func invalidOptionsAreNamed(options: [String], message: String) async throws {
        try await withVolumes { path in
            let base = ["register", path("moving.nii.gz"), path("fixed.nii")]
            let output =
                options[0] == "--output" || options[0] == "--transform" ? [] : ["--output", path("o.nii")]
            let outcome = try await Tool.run(base + output + options)
            #expect(outcome.status == 2 && outcome.messages.contains(message), "\(outcome.messages)")
        }
    }

    @Test func nothingToWriteIsAnError() async throws {
        let outcome = try await Tool.run("register", "a.nii", "b.nii")
        #expect(outcome.status == 2 && outcome.messages.contains("nothing would be written"))
    }

    @Test func failuresNameTheFiles() async throws {
        try await withVolumes { path in
            let outcome = try await Tool.run(
                "register", path("flat.nii"), path("fixed.nii"), "--output", path("o.nii"))
            #expect(outcome.status == 1)
            #expect(
                outcome.messages.contains(path("flat.nii")) && outcome.messages.contains("nothing to align"))
            #expect(!FileManager.default.fileExists(atPath: path("o.nii")))
        }
    }
}
