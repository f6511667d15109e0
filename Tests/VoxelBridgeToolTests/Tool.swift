import Foundation
import TestSupport
import Testing

/// The command `voxelbridge` as it was built, run as a user would run it.
enum Tool {
    /// What a run left.
    struct Outcome {
        /// The exit code, or the signal that ended the run.
        let status: Int32
        /// Standard output.
        let output: String
        /// Standard error.
        let messages: String
    }

    /// Runs the command to its end.
    static func run(_ arguments: [String]) async throws -> Outcome {
        try await withTemporaryFolder { folder in
            let (process, ended) = try start(arguments, output: folder)
            for await _ in ended {}
            func text(_ name: String) throws -> String {
                try String(contentsOf: folder.appending(path: name), encoding: .utf8)
            }
            return try Outcome(
                status: process.terminationStatus, output: text("output"), messages: text("messages"))
        }
    }

    /// Runs the command to its end.
    static func run(_ arguments: String...) async throws -> Outcome { try await run(arguments) }

    /// Runs the command, which must succeed.
    @discardableResult
    static func succeed(
        _ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Outcome {
        let outcome = try await run(arguments)
        try #require(outcome.status == 0, "\(outcome.messages)", sourceLocation: sourceLocation)
        return outcome
    }

    /// Starts the command; what it prints goes to `output` and `messages` in a folder.
    static func start(
        _ arguments: [String], output folder: URL
    ) throws -> (process: Process, ended: AsyncStream<Void>) {
        func file(_ name: String) throws -> FileHandle {
            let url = folder.appending(path: name)
            try Data().write(to: url)
            return try FileHandle(forWritingTo: url)
        }
        let process = Process()
        process.executableURL = try #require(executable, "voxelbridge has not been built with the tests")
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try file("output")
        process.standardError = try file("messages")
        let (ended, continuation) = AsyncStream.makeStream(of: Void.self)
        process.terminationHandler = { _ in continuation.finish() }
        try process.run()
        return (process, ended)
    }

    /// Kills a process as soon as a file exists; returns where it ends before. A thread of its own watches: those that
    /// tests share may be busy for longer than the process runs.
    static func killed(_ process: Int32, onceThereIs file: String) async {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                while kill(process, 0) == 0, access(file, F_OK) != 0 { usleep(200) }
                kill(process, SIGKILL)
                continuation.resume()
            }
        }
    }

    /// The command, in the folder of the test bundle or of the test executable.
    static let executable: URL? = {
        let bundles = Bundle.allBundles.map(\.bundleURL).filter { $0.pathExtension == "xctest" }
        let programs = [Bundle.main.executableURL].compactMap { $0 }
        return (bundles + programs).map { $0.deletingLastPathComponent().appending(path: "voxelbridge") }
            .first { FileManager.default.isExecutableFile(atPath: $0.path) }
    }()
}

extension URL {
    /// The names of all files in a folder, hidden ones too, sorted.
    var files: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }
    }
}
