import ArgumentParser
import Foundation

/// The comparison of measurements with PyTorch's.
struct PeerComparison: ParsableArguments {
    @Option(help: "Number of rounds of alternating measurements; the shortest counts.")
    var rounds = 2
    @Option(help: "The PyTorch benchmark of the same networks, bench.py.") var peer: String?
    @Option(help: "A Python with PyTorch.") var python = "python3"

    /// Alternates our measurements and the peer's, each in its own process, and keeps the shortest times.
    ///
    /// - Parameters:
    ///   - own: the arguments of this program's measurements.
    ///   - peers: the arguments of the peer's measurements, the fastest of which is compared with each of ours.
    ///   - options: the arguments of both.
    ///   - field: the field of the peer's output with its seconds; nil for the one of the job.
    func inTurn(
        own: [[String]], peers: [[String]], options: [String], field: String? = nil
    ) throws -> [Measurement] {
        var (best, bestPeer): ([Measurement], PeerMeasurement?) = ([], nil)
        for _ in 0..<rounds {
            var measured: [Measurement] = []
            for index in 0..<max(own.count, peers.count) {
                if index < own.count {
                    announce("benchmarks", own[index])
                    let data = try ChildProcess.ourselves(own[index] + options + ["--json"])
                    measured += try JSONDecoder().decode([Measurement].self, from: data)
                }
                if let peer, index < peers.count {
                    announce(peer, peers[index])
                    let data = try ChildProcess.ourselves(
                        ["run-peer"] + (field.map { ["--field", $0] } ?? []) + [python, peer] + peers[index]
                            + options)
                    let other = try JSONDecoder().decode(PeerMeasurement.self, from: data)
                    bestPeer = bestPeer?.merged(with: other) ?? other
                }
            }
            best = best.isEmpty ? measured : zip(best, measured).map { $0.merged(with: $1) }
        }
        for index in best.indices { best[index].peer = bestPeer }
        return best
    }

    /// Reports a measurement and the machine's load on standard error.
    func announce(_ program: String, _ arguments: [String]) {
        var load = [0.0]
        getloadavg(&load, 1)
        let line = ([URL(filePath: program).lastPathComponent] + arguments).joined(separator: " ")
        FileHandle.standardError.write(Data("\(line) (load \(text(load[0])))\n".utf8))
    }
}

/// The peer's measurement.
struct PeerMeasurement: Codable {
    /// The time per unit in the shortest run.
    let seconds: Double
    /// The peak memory of its process, in bytes.
    let peakMemory: Int

    /// The shorter time, and the larger memory.
    func merged(with other: PeerMeasurement) -> PeerMeasurement {
        PeerMeasurement(
            seconds: min(seconds, other.seconds), peakMemory: max(peakMemory, other.peakMemory))
    }
}

/// Runs the peer for its time and memory, as the only child of a separate process: a process only knows the largest
/// peak memory of all its children.
struct RunPeerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run-peer", abstract: "Runs the peer's benchmark.", shouldDisplay: false)

    @Option(help: "The field of its output with its seconds.") var field: String?
    @Argument(parsing: .captureForPassthrough) var command: [String]

    func run() throws {
        let data = try ChildProcess.run(command[0], Array(command.dropFirst()))
        let output = try JSONDecoder().decode([String: PeerValue].self, from: data)
        let fields = field.map { [$0] } ?? ["seconds_per_window", "seconds_per_step", "seconds"]
        guard let seconds = fields.lazy.compactMap({ output[$0]?.number }).first else {
            throw ValidationError("The peer's output has none of \(fields.joined(separator: ", ")).")
        }
        let measurement = PeerMeasurement(seconds: seconds, peakMemory: peakMemory(of: .children))
        print(String(decoding: try JSONEncoder().encode(measurement), as: UTF8.self))
    }
}

/// A field of the PyTorch benchmark's output, if it is a number.
private struct PeerValue: Decodable {
    let number: Double?

    init(from decoder: any Decoder) throws { number = try? decoder.singleValueContainer().decode(Double.self) }
}
