import Foundation
import TestSupport
import Testing
import VoxelBridge

/// `voxelbridge translate` with the model that needs no network.
struct TranslateTests {
    /// A folder with a source and a style of another contrast on another grid.
    private func withSource(_ body: (URL) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            let affine = Affine(columns: [0, 0, 3], [-3.5, 0.4, 0], [0.3, 3, 0], translation: [40, -20, 11])
            try Volume.brainPhantom(on: VoxelGrid(shape: [18, 20, 24], affine: affine))
                .write(to: folder.appending(path: "source.nii.gz"), space: .scanner)
            try Volume.brainPhantom(
                on: VoxelGrid(shape: [30, 34, 24], spacing: [2, 2, 2]), fluid: 15, white: 100, grey: 40
            ).write(to: folder.appending(path: "style.nii"))
            try await body(folder)
        }
    }

    private func arguments(_ folder: URL, to name: String) -> [String] {
        [
            "translate", folder.appending(path: "source.nii.gz").path, folder.appending(path: name).path,
            "--model", "histogram", "--style", folder.appending(path: "style.nii").path, "--spacing", "3",
            "--steps", "4",
        ]
    }

    private func translate(_ folder: URL, to name: String, _ options: String...) async throws -> Tool.Outcome {
        try await Tool.run(arguments(folder, to: name) + options)
    }

    @Test func writesTheTranslationOnTheSourcesGrid() async throws {
        try await withSource { folder in
            let outcome = try await translate(folder, to: "result.nii.gz")
            #expect(outcome.status == 0)
            #expect(outcome.output.isEmpty)
            #expect(outcome.messages.contains("Wrote \(folder.appending(path: "result.nii.gz").path)"))
            #expect(try folder.files == ["result.nii.gz", "source.nii.gz", "style.nii"])

            let source = try VolumeFile(contentsOf: folder.appending(path: "source.nii.gz"))
            let result = try VolumeFile(contentsOf: folder.appending(path: "result.nii.gz"))
            #expect(result.volume.grid == source.volume.grid)
            #expect(result.header.space == .scanner)
            #expect(zip(result.volume.voxels, source.volume.voxels).allSatisfy { $1 > 0 || $0 == 0 })
            let resampling = Resample(spacing: 3)
            let style = try StyleKey(
                of: Volume(contentsOf: folder.appending(path: "style.nii")), resampling: resampling)
            let before = try StyleKey(of: source.volume, resampling: resampling).distance(to: style)
            let after = try StyleKey(
                of: result.volume, intensities: RescaleIntensity(.unit), resampling: resampling
            ).distance(to: style)
            #expect(after < 0.5 * before, "\(before) became \(after)")
        }
    }

    @Test func theBytesAreTheSameForAnyThreadsAndBatches() async throws {
        try await withSource { folder in
            var files: Set<Data> = []
            for (threads, batch) in [("1", "1"), ("2", "1"), ("2", "3"), ("1", "16")] {
                _ = try await translate(
                    folder, to: "result.nii.gz", "--threads", threads, "--batch", batch, "--quiet")
                files.insert(try Data(contentsOf: folder.appending(path: "result.nii.gz")))
            }
            #expect(files.count == 1)
        }
    }

    @Test func aStyleMayBeAKey() async throws {
        try await withSource { folder in
            let key = folder.appending(path: "style.json").path
            try await Tool.succeed(
                "key", folder.appending(path: "style.nii").path, "--output", key, "--spacing", "3")
            _ = try await translate(folder, to: "a.nii")
            _ = try await translate(folder, to: "b.nii", "--style", key)
            let results = try ["a.nii", "b.nii"].map { try Volume(contentsOf: folder.appending(path: $0)) }
            // A key is written with enough digits to restore its numbers exactly.
            #expect(results[0] == results[1])
        }
    }

    @Test(arguments: ["independent", "co-predict", "ista", "ista-middle"])
    func everyModeRuns(mode: String) async throws {
        try await withSource { folder in
            for plane in ["axial", "coronal", "sagittal"] {
                let outcome = try await translate(
                    folder, to: "\(plane).nii", "--mode", mode, "--plane", plane)
                #expect(outcome.status == 0, "\(outcome.messages)")
            }
            #expect(
                try folder.files == ["axial.nii", "coronal.nii", "sagittal.nii", "source.nii.gz", "style.nii"])
        }
    }

    @Test func quietIsSilentAndVerbosePrintsDebugMessages() async throws {
        try await withSource { folder in
            let quiet = try await translate(folder, to: "a.nii", "--quiet")
            #expect(quiet.status == 0 && quiet.output.isEmpty && quiet.messages.isEmpty)
            let verbose = try await translate(folder, to: "a.nii", "--verbose", "--threads", "2")
            #expect(verbose.messages.contains("Steps: 4, windows of 3 slices, 2 threads"))
            #expect(try await translate(folder, to: "a.nii", "--quiet", "--verbose").status == 2)
        }
    }

    /// A killed translation continues from its state to the same bytes, with the same settings only.
    @Test func aTranslationThatWasKilledContinuesToTheSameBytes() async throws {
        try await withSource { folder in
            let state = folder.appending(path: "run.state").path
            let options = ["--steps", "200", "--mode", "ista", "--spacing", "2"]
            func translate(_ output: String, _ more: [String] = []) async throws -> Tool.Outcome {
                try await Tool.run(arguments(folder, to: output) + options + more)
            }
            #expect(try await translate("whole.nii").status == 0)
            let (process, ended) = try Tool.start(
                arguments(folder, to: "broken.nii") + options + ["--state", state], output: folder)
            await Tool.signal(process.processIdentifier) { exists(state) }
            for await _ in ended {}
            try #require(process.terminationStatus == SIGKILL, "it was done before it was killed")

            let other = try await translate("broken.nii", ["--state", state, "--step-size", "0.4"])
            #expect(other.status == 1 && !other.messages.contains("Continuing"))
            #expect(
                other.messages.contains("\(state): the state belongs to another run: its fingerprint of the"))
            let rest = try await translate("broken.nii", ["--state", state])
            #expect(rest.status == 0 && rest.messages.contains("Continuing after step"))
            let files = try ["whole.nii", "broken.nii"].map { try Data(contentsOf: folder.appending(path: $0)) }
            #expect(files[0] == files[1])
            #expect(!FileManager.default.fileExists(atPath: state))
        }
    }

    @Test func voxelsThatAreNotFiniteAreWarnedOf() async throws {
        try await withSource { folder in
            let url = folder.appending(path: "source.nii.gz")
            var source = try Volume(contentsOf: url)
            (source[3, 3, 3], source[4, 4, 4]) = (.nan, .infinity)
            try source.write(to: url)
            let outcome = try await translate(folder, to: "a.nii")
            #expect(outcome.status == 0)
            #expect(
                outcome.messages.contains(
                    "Warning: \(url.path): 2 voxels are NaN or infinite, and count as background"))
            let raw = try await translate(folder, to: "b.nii", "--raw")
            #expect(raw.status == 1)
            #expect(raw.messages.contains("\(url.path): 2 voxels are NaN or infinite, and --raw takes"))
        }
    }

    @Test func aLinkIsFollowed() async throws {
        try await withSource { folder in
            let target = folder.appending(path: "target.nii")
            try Data().write(to: target)
            try FileManager.default.createSymbolicLink(
                at: folder.appending(path: "link.nii"), withDestinationURL: target)
            #expect(try await translate(folder, to: "link.nii").status == 0)
            #expect(try Volume(contentsOf: target).shape == [18, 20, 24])
            try FileManager.default.removeItem(at: target)
            #expect(try await translate(folder, to: "link.nii").status == 0)
            #expect(try Volume(contentsOf: folder.appending(path: "link.nii")).shape == [18, 20, 24])
        }
    }

    /// Ended by a signal in the middle of its work, the command leaves nothing but its state.
    @Test func whatIsEndedLeavesNoFile() async throws {
        try await withSource { folder in
            try await withTemporaryFolder { messages in
                let state = folder.appending(path: "run.state").path
                let (process, ended) = try Tool.start(
                    arguments(folder, to: "result.nii.gz")
                        + ["--steps", "1000", "--mode", "ista", "--spacing", "2", "--state", state],
                    output: messages)
                await Tool.signal(process.processIdentifier, SIGTERM) { exists(state) }
                for await _ in ended {}
                #expect(process.terminationStatus == SIGTERM)
                #expect(try folder.files == ["run.state", "source.nii.gz", "style.nii"])
            }
        }
    }
}
