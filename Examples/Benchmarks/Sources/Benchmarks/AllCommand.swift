import ArgumentParser
import Foundation

/// Times everything, each measurement in a process of its own, and PyTorch in turn with it.
struct AllCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "all", abstract: "Times everything, beside PyTorch where it is given.")

    @Option(help: "Threads that are kept busy.") var threads = 2
    @Option(help: "How often each measurement and its peer's are made in turn; the shortest counts.")
    var rounds = 2
    @Option(help: "PyTorch's benchmark of the same networks, bench.py.") var peer: String?
    @Option(help: "A Python with PyTorch.") var python = "python3"

    func run() throws {
        show(table(try networks("published", size: 160, repeats: 2) + networks("small", size: 96, repeats: 10)))
        show(try layers())
        show(table(try translation()))
    }

    /// Prints a table at once, for the next one may be long in coming.
    private func show(_ table: String) {
        print(table + "\n")
        fflush(nil)
    }

    private typealias Row = (own: Measurement, peer: Double?)

    private func table(_ rows: [Row]) -> String { rows.map(\.own).table(peer: rows.map(\.peer)) }

    /// A network with Winograd's form and without; the peer with the batch that suits it better.
    private func networks(_ config: String, size: Int, repeats: Int) throws -> [Row] {
        let own = ["network", "--config", config, "--size", "\(size)"]
        let peers = Set([1, threads]).sorted().map {
            ["unet", "--config", config, "--size", "\(size)", "--batch", "\($0)"]
        }
        return try inTurn(own: [own, own + ["--winograd-memory", "0"]], peers: peers, repeats: repeats)
    }

    private func translation() throws -> [Row] {
        // The same job as the peer's. One run after the one to warm up: it takes minutes there.
        let job = ["translate", "--config", "small", "--size", "96", "--slices", "24", "--steps", "10"]
        return try inTurn(own: [job], peers: [job], repeats: 1)
    }

    /// Makes our measurements and the peer's one after the other, and keeps each one's shortest.
    private func inTurn(
        own: [[String]], peers: [[String]], repeats: Int
    ) throws -> [Row] {
        let options = ["--threads", "\(threads)", "--repeat", "\(repeats)"]
        var (best, bestPeer): ([Measurement], Double?) = ([], nil)
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
                    let data = try ChildProcess.run(python, [peer] + peers[index] + options)
                    let seconds = try JSONDecoder().decode(PeerTime.self, from: data).seconds
                    bestPeer = min(seconds, bestPeer ?? .infinity)
                }
            }
            if best.isEmpty { best = measured }
            for index in best.indices {
                best[index].seconds = min(best[index].seconds, measured[index].seconds)
                best[index].peakMemory = max(best[index].peakMemory, measured[index].peakMemory)
            }
        }
        return best.map { ($0, bestPeer) }
    }

    private func layers() throws -> String {
        let options = ["--threads", "\(threads)", "--repeat", "7"]
        let script = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../peer_layers.py").standardizedFileURL.path
        var best: LayerTimes?
        var bestPeer: [String: Double] = [:]
        for _ in 0..<rounds {
            announce("benchmarks", ["layers"])
            let data = try ChildProcess.ourselves(["layers"] + options + ["--json"])
            let times = try JSONDecoder().decode(LayerTimes.self, from: data)
            best = best?.merged(with: times) ?? times
            if peer != nil {
                announce(script, [])
                let specifications = Set(LayerCase.all.map(\.specification)).sorted()
                let data = try ChildProcess.run(python, [script] + options + specifications)
                bestPeer.merge(
                    try JSONDecoder().decode([String: Double].self, from: data), uniquingKeysWith: min)
            }
        }
        return best?.table(peer: bestPeer) ?? ""
    }

    /// Says on standard error what is being measured, and how busy the machine is.
    private func announce(_ program: String, _ arguments: [String]) {
        var load = [0.0]
        getloadavg(&load, 1)
        let line = ([URL(filePath: program).lastPathComponent] + arguments).joined(separator: " ")
        FileHandle.standardError.write(Data("\(line) (load \(text(load[0])))\n".utf8))
    }
}

/// What PyTorch's benchmark prints: a time, of one window or of a translation.
private struct PeerTime: Decodable {
    let seconds: Double

    private enum CodingKeys: String, CodingKey {
        case perWindow = "seconds_per_window"
        case whole = "seconds"
    }

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        seconds =
            try fields.decodeIfPresent(Double.self, forKey: .perWindow)
            ?? fields.decode(Double.self, forKey: .whole)
    }
}
