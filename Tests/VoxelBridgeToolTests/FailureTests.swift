import Foundation
import TestSupport
import Testing
import VoxelBridge

/// Errors name the file and a remedy, and leave no files behind.
struct FailureTests {
    /// An invalid command line. Words with the prefix @ are files in the test's folder.
    struct Misuse: CustomTestStringConvertible, Sendable {
        let words: String
        /// Texts that the message must contain.
        let messages: [String]

        init(_ words: String, _ messages: String...) { (self.words, self.messages) = (words, messages) }

        var testDescription: String { words }
    }

    /// A folder with valid and invalid files.
    private func withFiles(_ body: (URL) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            func file(_ name: String) -> URL { folder.appending(path: name) }
            let brain = Volume.brainPhantom(on: VoxelGrid(shape: [12, 14, 10], spacing: [6, 6, 6]))
            try brain.write(to: file("brain.nii"))
            try brain.write(to: file("brain.nii.gz"))
            try Volume(grid: VoxelGrid(shape: [4, 4, 4]), repeating: 5).write(to: file("flat.nii"))
            try Volume(grid: VoxelGrid(shape: [4, 4, 4], spacing: [1, 1, 1e9])).write(to: file("long.nii"))
            try Data(contentsOf: file("brain.nii")).prefix(1000).write(to: file("short.nii"))
            try Data(contentsOf: file("brain.nii.gz")).dropLast(20).write(to: file("short.nii.gz"))
            try Data("{}".utf8).write(to: file("empty.json"))
            try Data("no network".utf8).write(to: file("text.safetensors"))
            try Data("{\"in_channels\": 6}".utf8).write(to: file("config.json"))
            try FileManager.default.createDirectory(at: file("folder.nii"), withIntermediateDirectories: false)
            // In place of a device, which a test should not write to.
            try #require(mkfifo(file("pipe").path, 0o600) == 0)
            try FileManager.default.createSymbolicLink(
                at: file("pipe.nii"), withDestinationURL: file("pipe"))
            try FileManager.default.createSymbolicLink(
                at: file("alias.nii"), withDestinationURL: file("brain.nii"))
            try await body(folder)
        }
    }

    private func check(_ misuse: Misuse, status: Int32) async throws {
        try await withFiles { folder in
            let before = try folder.files
            let words = misuse.words.split(separator: " ").map {
                $0.hasPrefix("@") ? folder.appending(path: String($0.dropFirst())).path : String($0)
            }
            let outcome = try await Tool.run(words)
            #expect(outcome.status == status, "\(outcome.messages)")
            #expect(outcome.output.isEmpty)
            #expect(outcome.messages.hasPrefix("Error: "))
            #expect(!outcome.messages.contains("Error Domain"))
            for message in misuse.messages { #expect(outcome.messages.contains(message)) }
            // Also where the command finds the misuse while it runs.
            if status == 2, let command = words.first, command != "frobnicate" {
                #expect(outcome.messages.contains("Usage: voxelbridge \(command) "))
                #expect(outcome.messages.contains("See 'voxelbridge \(command) --help' for more"))
            }
            #expect(try folder.files == before)
        }
    }

    private static let translate = "translate --model histogram --style @brain.nii --steps 3"

    @Test(arguments: [
        Misuse("frobnicate", "frobnicate"),
        Misuse("info @brain.nii --colour", "--colour"),
        Misuse("info", "<file>"),
        Misuse("translate @brain.nii @out.nii --style @brain.nii", "--model"),
        Misuse("\(translate) @brain.nii @out.nii --steps 2", "--steps must be from 3 to 1000"),
        Misuse("\(translate) @brain.nii @out.nii --steps 0", "--steps must be at least 1, but is 0"),
        Misuse("\(translate) @brain.nii @out.nii --solver ddim --step-rule marginal", "--solver"),
        Misuse(
            "\(translate) @brain.nii @out.nii --steps 1001",
            "--steps must be from 3 to 1000, the timesteps of the process, but is 1001"),
        Misuse("\(translate) @brain.nii @out.nii --steps many", "--steps"),
        Misuse("\(translate) @brain.nii @out.nii --corrections=-1", "--corrections must be from 0", "-1"),
        Misuse("\(translate) @brain.nii @out.nii --step-size=-0.5", "--step-size must not be negative"),
        Misuse("\(translate) @brain.nii @out.nii --step-size nan", "--step-size"),
        Misuse("\(translate) @brain.nii @out.nii --batch 0", "--batch must be at least 1"),
        Misuse("\(translate) @brain.nii @out.nii --threads 0", "--threads must be from 1"),
        Misuse("\(translate) @brain.nii @out.nii --spacing 0", "--spacing must be above zero"),
        Misuse("\(translate) @brain.nii @out.nii --spacing inf", "--spacing must be above zero"),
        Misuse("\(translate) @brain.nii @out.nii --spacing 1e-9", "spacing: found 1e-09"),
        Misuse("\(translate) @brain.nii @out.nii --process flow", "rectified_flow", "brownian_bridge"),
        Misuse(
            "\(translate) @brain.nii @out.nii --process diffusion --schedule sin",
            "process.schedule: found \"sin\"", "scaled_linear"),
        Misuse("translate @brain.nii @out.nii --model histogram", "takes a style", "--style"),
        Misuse("\(translate) @brain.nii @out.nii --mode best", "ista", "co-predict", "independent"),
        Misuse("\(translate) @brain.nii @out.nii --plane oblique", "axial", "coronal", "sagittal"),
        Misuse(
            "\(translate) @brain.nii @out.nii --config @config.json",
            "--config and --weights do not apply to --model histogram"),
        Misuse("\(translate) @brain.nii @out.nii --objective noise", "--prediction-type"),
        Misuse("\(translate) @brain.nii @out.mgz", "out.mgz", "must end in .nii or .nii.gz"),
        Misuse("\(translate) @brain.nii @nowhere/out.nii", "nowhere", "create it first"),
        Misuse("\(translate) @brain.nii @brain.nii", "would overwrite the input", "brain.nii"),
        Misuse("\(translate) @brain.nii.gz @brain.nii", "would overwrite the input", "brain.nii"),
        Misuse("\(translate) @brain.nii.gz @alias.nii", "would overwrite the input", "brain.nii"),
        Misuse("\(translate) @brain.nii @folder.nii", "folder.nii, exists and is not a file"),
        Misuse("\(translate) @brain.nii @pipe.nii", "pipe.nii, exists and is not a file"),
        Misuse("import @text.safetensors @out.pth", "must end in .safetensors"),
        Misuse("import @text.safetensors @text.safetensors", "would overwrite the input"),
        Misuse("import @text.safetensors @out.safetensors --weights best", "model", "ema"),
        Misuse("import @text.safetensors @out.safetensors --type f64", "f32", "bf16"),
        Misuse(
            "\(translate) @brain.nii @out.nii --weights ema",
            "--config and --weights do not apply to --model histogram"),
        Misuse("key @brain.nii --bins 1", "--bins must be from 2 to 65536, but is 1"),
        Misuse("key @brain.nii --output @key.txt", "must end in .json"),
        Misuse("evaluate @brain.nii @brain.nii --data-range 0", "--data-range must be above zero"),
        Misuse("preprocess @brain.nii @out.nii --multiple 0", "--multiple must be from 1 to 4096"),
        Misuse("preprocess @brain.nii @out.nii --margin=-1", "--margin must be from 0 to 4096"),
        Misuse("preprocess @brain.nii @out.nii --shape 4,4", "--shape"),
        Misuse("preprocess @brain.nii @out.nii --orientation RAX", "--orientation"),
        Misuse("preprocess @brain.nii @out.nii --onto @brain.nii --spacing 2", "--onto states the whole grid"),
        Misuse("preprocess @brain.nii @out.nii --pipeline a.json --spacing 2", "--pipeline states all steps"),
        Misuse("montage @brain.nii --labels one,two --output @out.png", "--labels has 2 labels"),
        Misuse("montage @brain.nii --output @out.jpg", "must end in .png"),
        Misuse("montage @brain.nii --output @out.png --point 1,2", "three numbers"),
        Misuse("phantom --output @new --subjects 0", "--subjects must be from 1 to 9999, but is 0"),
        Misuse("phantom --output @new --shape 96x96", "--shape must be three numbers", "96x96"),
        Misuse("phantom --output @new --shape 96x96x4", "from 8 to 1024"),
        Misuse("phantom --output @new --spacing 0", "--spacing must be above zero"),
        Misuse("phantom --output @new --validation 0.5 --test 0.5", "--validation and --test", "below 1"),
        Misuse("phantom --output @new --threads 0", "--threads must be from 1"),
        Misuse("phantom --output @new --source skull", "window", "head", "brain"),
        Misuse("phantom --output @new --contrasts t1,t3", "--contrasts must name some of ct, t1", "t1,t3"),
        Misuse("phantom --output @new --contrasts t1,t1", "once each", "t1,t1"),
        Misuse("phantom --output @new --lesions 1001", "--lesions must be from 0 to 1000, but is 1001"),
        Misuse("phantom --output @nowhere/new", "nowhere", "create it first"),
        Misuse("phantom --output @brain.nii", "brain.nii, exists and is not a folder"),
        Misuse("phantom --output @.", "contains other files", "no manifest.csv"),
        Misuse(
            "predict @text.safetensors @text.safetensors --model @text.safetensors --config @config.json",
            "would overwrite the input"),
    ])
    func badUseEndsWith2(_ misuse: Misuse) async throws { try await check(misuse, status: 2) }

    @Test(arguments: [
        Misuse("info @missing.nii", "missing.nii: there is no such file"),
        Misuse("info @folder.nii", "folder.nii", "folder"),
        Misuse("info @config.json", "config.json", "not a NIfTI file"),
        Misuse("info @short.nii.gz", "short.nii.gz", "too short"),
        Misuse("\(translate) @missing.nii @out.nii", "missing.nii: there is no such file"),
        Misuse("\(translate) @short.nii @out.nii", "short.nii", "too short"),
        Misuse("\(translate) @flat.nii @out.nii", "flat.nii: every voxel of the volume is 5.0"),
        Misuse(
            "\(translate) @brain.nii @out.nii --style @flat.nii", "flat.nii: every voxel of the volume is 5.0"),
        Misuse(
            "\(translate) @brain.nii @out.nii --style @empty.json", "empty.json",
            "histogram: found no such field"),
        Misuse("\(translate) @brain.nii @out.nii --style @missing.json", "missing.json"),
        Misuse("\(translate) @brain.nii @out.nii --spacing 0.0001", "brain.nii", "larger spacing"),
        Misuse(
            "translate @brain.nii @out.nii --style @brain.nii --model histogramm",
            "histogramm: there is no such file", "'histogram'"),
        Misuse(
            "translate @brain.nii @out.nii --style @brain.nii --model @text.safetensors --config @none.json",
            "none.json"),
        Misuse(
            "translate @brain.nii @out.nii --style @brain.nii --model @text.safetensors --config @config.json",
            "text.safetensors", "not a safetensors file"),
        Misuse("info @text.safetensors", "text.safetensors", "not a safetensors file"),
        Misuse("import @text.safetensors @out.safetensors", "text.safetensors", "not a safetensors file"),
        Misuse("import @missing.pth @out.safetensors", "missing.pth", "there is no such file"),
        Misuse("import @missing.pth @out.safetensors --config @brain.nii", "brain.nii"),
        Misuse("key @flat.nii", "flat.nii: every voxel of the volume is 5.0"),
        Misuse("key @brain.nii @missing.nii --output @key.json", "missing.nii"),
        Misuse("preprocess @flat.nii @out.nii", "flat.nii: every voxel"),
        Misuse("evaluate @brain.nii @flat.nii", "12 x 14 x 10", "4 x 4 x 4"),
        Misuse("evaluate @brain.nii @brain.nii --mask @flat.nii", "mask", "4 x 4 x 4"),
        Misuse("train --data @missing.csv --output @new", "missing.csv", "No such file or directory"),
        Misuse("train --data @folder.nii --output @new", "folder.nii", "Is a directory"),
        Misuse("train --data @brain.nii --output @new --config @folder.nii", "folder.nii", "Is a directory"),
        Misuse("evaluate --pairs @folder.nii --output @new", "folder.nii", "Is a directory"),
        Misuse(
            "register @brain.nii @brain.nii --output @out.nii --initial @missing.json", "missing.json",
            "No such file"),
        Misuse("preprocess @brain.nii @out.nii --pipeline @folder.nii", "folder.nii", "Is a directory"),
        Misuse("montage @missing.nii --output @out.png", "missing.nii"),
        Misuse("phantom --output @new --anatomy @missing.nii", "missing.nii"),
        Misuse("phantom --output @new --anatomy @flat.nii", "flat.nii: found no brain"),
        Misuse(
            "phantom --output @new --anatomy @long.nii", "long.nii: resampling would make", "expected at most"),
    ])
    func failedWorkEndsWith1(_ misuse: Misuse) async throws { try await check(misuse, status: 1) }

    @Test(.enabled(if: Fixtures.hasData, Fixtures.missingData))
    func aSeriesIsNoSource() async throws {
        let series = Fixtures.data("perfusion_4d.nii.gz").path
        try await check(
            Misuse(
                "\(Self.translate) \(series) @out.nii", series, "52 x 68 x 20 x 10", "expected one volume"),
            status: 1)
    }

    /// A device on which every write fails, as on a full disk.
    private static let fullDevice = "/dev/full"

    @Test(.enabled(if: FileManager.default.fileExists(atPath: fullDevice), "there is no /dev/full here"))
    func resultsThatCannotBePrintedAreAFailure() async throws {
        try await withFiles { folder in
            let process = Process()
            process.executableURL = try #require(Tool.executable)
            process.arguments = ["info", folder.appending(path: "brain.nii").path]
            process.standardOutput = FileHandle(forWritingAtPath: Self.fullDevice)
            process.standardError = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            #expect(process.terminationStatus == 1)
        }
    }
}
