import Foundation
import TestSupport
import Testing
import VoxelBridge

/// `voxelbridge serve`, and `voxelbridge translate --server`.
@Suite(.serialized)
struct ServeTests {
    private static let model = Fixtures.packageRoot.appending(path: "Examples/CTToMRI/Model")

    /// A server in a process of its own.
    private struct Server {
        let process: Process
        let ended: AsyncStream<Void>
        let messages: URL
        let port: Int

        var address: String { "http://127.0.0.1:\(port)" }

        /// Starts one, and waits until it takes requests.
        static func start(in folder: URL, port: Int = 0, _ options: String...) async throws -> Server {
            let own = folder.appending(path: UUID().uuidString)
            try FileManager.default.createDirectory(at: own, withIntermediateDirectories: true)
            let (process, ended) = try Tool.start(
                [
                    "serve", "--model", ServeTests.model.appending(path: "ct-to-t1.safetensors").path, "--port",
                    "\(port)", "--threads", "1",
                ] + options, output: own)
            let messages = own.appending(path: "messages")
            for _ in 0..<600 where process.isRunning {
                let text = try String(contentsOf: messages, encoding: .utf8)
                if let match = text.firstMatch(of: /on http:\/\/127\.0\.0\.1:(\d+) with/) {
                    return Server(process: process, ended: ended, messages: messages, port: Int(match.1)!)
                }
                try await Task.sleep(for: .milliseconds(50))
            }
            process.terminate()
            throw Failure(messages: try String(contentsOf: messages, encoding: .utf8))
        }

        func kill(_ signal: Int32 = SIGKILL) async {
            Foundation.kill(process.processIdentifier, signal)
            for await _ in ended {}
        }
    }

    private struct Failure: Error {
        let messages: String
    }

    private func withSource(_ body: (URL) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            try Volume.brainPhantom(on: VoxelGrid(shape: [22, 26, 18], spacing: [3, 3, 4]))
                .write(to: folder.appending(path: "source.nii"))
            try await body(folder)
        }
    }

    private func arguments(_ folder: URL, to name: String, steps: Int = 4) -> [String] {
        [
            "translate", folder.appending(path: "source.nii").path, folder.appending(path: name).path,
            "--style",
            Self.model.appending(path: "style.json").path, "--steps", "\(steps)",
        ]
    }

    private var local: [String] { ["--model", Self.model.appending(path: "ct-to-t1.safetensors").path] }

    private func bytes(_ folder: URL, _ name: String) throws -> Data {
        try Data(contentsOf: folder.appending(path: name))
    }

    @Test(.timeLimit(.minutes(3)))
    func theBytesAreThoseOfALocalTranslation() async throws {
        try await withSource { folder in
            let outcome = try await Tool.run(arguments(folder, to: "local.nii") + local)
            try #require(outcome.status == 0, "\(outcome.messages)")
            let servers = [
                try await Server.start(in: folder), try await Server.start(in: folder),
                try await Server.start(in: folder),
            ]
            for (count, options) in [
                (1, []), (1, ["--batch", "16", "--in-flight", "1"]), (3, []),
                (3, ["--batch", "1", "--in-flight", "5"]), (2, ["--wire", "json"]),
            ] {
                let remote = try await Tool.run(
                    arguments(folder, to: "remote.nii")
                        + servers.prefix(count).flatMap { ["--server", $0.address] }
                        + options)
                try #require(remote.status == 0, "\(remote.messages)")
                let number = count == 1 ? "one server" : "\(count) servers"
                #expect(remote.messages.contains("windows from \(number)"), "\(remote.messages)")
                #expect(try bytes(folder, "remote.nii") == bytes(folder, "local.nii"), "\(count) \(options)")
            }
            #expect(!FileManager.default.fileExists(atPath: folder.appending(path: "remote.nii.state").path))
            await servers[0].kill(SIGTERM)
            #expect(servers[0].process.terminationStatus == 0)
            #expect(servers[0].process.terminationReason == .exit)
            #expect(try String(contentsOf: servers[0].messages, encoding: .utf8).hasSuffix("Stopped\n"))
            for server in servers.dropFirst() { await server.kill() }
        }
    }

    /// Kills a server as soon as a translation has made a step.
    private func kill(_ server: Server, onceAStepIsMadeBy process: Process, in folder: URL) async throws {
        let state = folder.appending(path: "remote.nii.state").path
        await Tool.signal(server.process.processIdentifier, watching: process.processIdentifier) {
            exists(state)
        }
        try #require(process.isRunning, "it was done before a server was killed")
        for await _ in server.ended {}
    }

    @Test(.timeLimit(.minutes(3)))
    func oneOfThreeServersMayDie() async throws {
        try await withSource { folder in
            let outcome = try await Tool.run(arguments(folder, to: "local.nii", steps: 25) + local)
            try #require(outcome.status == 0, "\(outcome.messages)")
            let servers = [
                try await Server.start(in: folder), try await Server.start(in: folder),
                try await Server.start(in: folder),
            ]
            let (process, ended) = try Tool.start(
                arguments(folder, to: "remote.nii", steps: 25) + servers.flatMap { ["--server", $0.address] },
                output: folder)
            try await kill(servers[1], onceAStepIsMadeBy: process, in: folder)
            for await _ in ended {}
            let messages = try String(contentsOf: folder.appending(path: "messages"), encoding: .utf8)
            try #require(process.terminationStatus == 0, "\(messages)")
            #expect(messages.contains("Warning: \(servers[1].address)"), "\(messages)")
            #expect(try bytes(folder, "remote.nii") == bytes(folder, "local.nii"))
            await servers[0].kill()
            await servers[2].kill()
        }
    }

    @Test(.timeLimit(.minutes(3)))
    func aRunThatLostItsOnlyServerIsContinued() async throws {
        try await withSource { folder in
            let outcome = try await Tool.run(arguments(folder, to: "local.nii", steps: 25) + local)
            try #require(outcome.status == 0, "\(outcome.messages)")
            let server = try await Server.start(in: folder)
            let command = arguments(folder, to: "remote.nii", steps: 25) + ["--server", server.address]
            let (process, ended) = try Tool.start(command, output: folder)
            try await kill(server, onceAStepIsMadeBy: process, in: folder)
            for await _ in ended {}
            let messages = try String(contentsOf: folder.appending(path: "messages"), encoding: .utf8)
            let state = folder.appending(path: "remote.nii.state").path
            #expect(process.terminationStatus == 1)
            #expect(messages.contains("no server is left: \(server.address)"), "\(messages)")
            #expect(
                messages.contains("saved in \(state): run the same command again to continue"), "\(messages)")
            #expect(!FileManager.default.fileExists(atPath: folder.appending(path: "remote.nii").path))

            let next = try await Server.start(in: folder, port: server.port)
            let rest = try await Tool.run(command)
            #expect(rest.status == 0 && rest.messages.contains("Continuing after step"), "\(rest.messages)")
            #expect(try bytes(folder, "remote.nii") == bytes(folder, "local.nii"))
            #expect(!FileManager.default.fileExists(atPath: state))
            await next.kill()
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func aTokenIsAskedFor() async throws {
        try await withSource { folder in
            let token = folder.appending(path: "token.txt")
            try Data("sesame\n".utf8).write(to: token)
            let server = try await Server.start(in: folder, "--token-file", token.path)
            let refused = try await Tool.run(
                arguments(folder, to: "remote.nii") + ["--server", server.address])
            #expect(
                refused.status == 1 && refused.messages.contains("requires a valid token (401)"),
                "\(refused.messages)")
            let taken = try await Tool.run(
                arguments(folder, to: "remote.nii") + ["--server", server.address, "--token-file", token.path])
            #expect(taken.status == 0, "\(taken.messages)")
            await server.kill()
        }
    }

    @Test func whatIsWrongWithTheCommandIsSaid() async throws {
        try await withSource { folder in
            let nothing = try await Tool.run(arguments(folder, to: "a.nii"))
            #expect(
                nothing.status == 2 && nothing.messages.contains("'--model <model>', or '--server <server>'"))
            let address = try await Tool.run(arguments(folder, to: "a.nii") + ["--server", "gpu-1"])
            #expect(address.status == 1 && address.messages.contains("'gpu-1' is not the address of a server"))
            let config = try await Tool.run(
                arguments(folder, to: "a.nii") + ["--server", "http://a", "--winograd-memory", "1"])
            #expect(config.status == 2 && config.messages.contains("use them with 'voxelbridge serve'"))
            let port = try await Tool.run("serve", "--model", "x", "--port", "70000")
            #expect(port.status == 2 && port.messages.contains("--port must be from 0 to 65535"))
            let missing = try await Tool.run("serve", "--model", "x.safetensors")
            #expect(missing.status == 1 && missing.messages.contains("x.safetensors: there is no such file"))
            let description = folder.appending(path: "model.json")
            try Data(#"{"nam": "x"}"#.utf8).write(to: description)
            let model = try await Tool.run(
                arguments(folder, to: "a.nii") + ["--server", "http://a", "--model", description.path])
            #expect(
                model.status == 1 && model.messages.contains("\(description.path): nam: found an unknown field")
            )
        }
    }
}
