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
        let executable = try #require(executable, "voxelbridge has not been built with the tests")
        return try start(executable, arguments, output: folder)
    }

    /// Runs a script of Bash in a folder, to its end. `$TOOL` is the command.
    ///
    /// - Parameter mounts: whether the script mounts file systems, which nobody else then sees.
    static func shell(_ script: String, in folder: URL, mounts: Bool = false) async throws -> Outcome {
        try await withTemporaryFolder { results in
            let tool = try #require(executable, "voxelbridge has not been built with the tests")
            let whole = "TOOL='\(tool.path)'; cd '\(folder.path)' || exit\n\(script)"
            let (program, arguments) = mounts ? ("/usr/bin/unshare", ["-rm", "bash"]) : ("/bin/bash", [])
            let (process, ended) = try start(
                URL(filePath: program), arguments + ["-c", whole], output: results)
            for await _ in ended {}
            func text(_ name: String) throws -> String {
                String(decoding: try Data(contentsOf: results.appending(path: name)), as: UTF8.self)
            }
            return try Outcome(
                status: process.terminationStatus, output: text("output"), messages: text("messages"))
        }
    }

    /// Whether scripts may mount file systems.
    static let canMount: Bool = {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/unshare")
        process.arguments = ["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }()

    private static func start(
        _ program: URL, _ arguments: [String], output folder: URL
    ) throws -> (process: Process, ended: AsyncStream<Void>) {
        func file(_ name: String) throws -> FileHandle {
            let url = folder.appending(path: name)
            try Data().write(to: url)
            return try FileHandle(forWritingTo: url)
        }
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try file("output")
        process.standardError = try file("messages")
        let (ended, continuation) = AsyncStream.makeStream(of: Void.self)
        process.terminationHandler = { _ in continuation.finish() }
        try process.run()
        return (process, ended)
    }

    /// Sends a signal to a process as soon as a condition holds, or the process has ended.
    ///
    /// - Parameter watched: the process whose end ends the wait, where that is another one.
    static func signal(
        _ process: Int32, _ signal: Int32 = SIGKILL, watching watched: Int32? = nil,
        once condition: @escaping @Sendable () -> Bool
    ) async {
        await onThreadOfItsOwn {
            while kill(watched ?? process, 0) == 0, !condition() { usleep(200) }
            kill(process, signal)
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

/// Runs work that waits on a thread of its own: those that tests share may be busy for longer than a process runs.
func onThreadOfItsOwn<Result: Sendable>(_ work: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
        Thread.detachNewThread { continuation.resume(returning: work()) }
    }
}

/// Whether there is a file at a path.
func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

extension URL {
    /// The names of all files in a folder, hidden ones too, sorted.
    var files: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }
    }
}
