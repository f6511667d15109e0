import ArgumentParser
import Foundation

/// Runs all measurements, each in its own process, in turn with PyTorch's.
struct AllCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "all", abstract: "Runs all measurements, optionally compared with PyTorch.")

    @Option(help: "Number of threads.") var threads = 2
    @OptionGroup var comparison: PeerComparison

    func run() throws {
        show(
            (try networks("published", size: 160, repeats: 2) + networks("small", size: 96, repeats: 10))
                .table())
        show(try layers())
        show(try translation().table())
        show(try training().table(comparesMemory: true))
        show(try latent().table(comparesMemory: true))
    }

    /// Prints a table immediately: the next one may take long.
    private func show(_ table: String) {
        print(table + "\n")
        fflush(nil)
    }

    /// A network with and without Winograd convolutions; the peer with the faster batch size.
    private func networks(_ config: String, size: Int, repeats: Int) throws -> [Measurement] {
        let own = ["network", "--config", config, "--size", "\(size)"]
        let peers = Set([1, threads]).sorted().map {
            ["unet", "--config", config, "--size", "\(size)", "--batch", "\($0)"]
        }
        return try inTurn(own: [own, own + ["--winograd-memory", "0"]], peers: peers, repeats: repeats)
    }

    private func translation() throws -> [Measurement] {
        // The same job as the peer's, which takes minutes: one run after the warm-up.
        let job = ["translate", "--config", "small", "--size", "96", "--slices", "24", "--steps", "10"]
        return try inTurn(own: [job], peers: [job], repeats: 1)
    }

    private func training() throws -> [Measurement] {
        let job = ["train", "--config", "small", "--size", "64", "--batch", "8"]
        return try inTurn(own: [job, job + ["--save-memory"]], peers: [job], repeats: 5)
    }

    private func inTurn(own: [[String]], peers: [[String]], repeats: Int) throws -> [Measurement] {
        try comparison.inTurn(
            own: own, peers: peers, options: ["--threads", "\(threads)", "--repeat", "\(repeats)"])
    }

    /// The parts of the latent translator, each in a process of its own.
    private func latent() throws -> [Measurement] {
        let parts: [(LatentNetwork, job: String, field: String)] = [
            (.encoder, "aldm-encode", "seconds_encode"), (.translator, "aldm-encode", "seconds_translator"),
            (.decoder, "aldm-encode", "seconds_decode"), (.denoiser, "aldm-unet", "seconds_per_evaluation"),
        ]
        return try ["48x48x32", "96x96x80"].flatMap { shape in
            try parts.flatMap { part, job, field in
                let options = ["--shape", shape, "--threads", "\(threads)", "--repeat", "3"]
                return try comparison.inTurn(
                    own: [["latent", "--parts", part.rawValue]], peers: [[job, "--config", "published"]],
                    options: options, field: field)
            }
        }
    }

    private func layers() throws -> String {
        try layers(LayerCase.all, []) + "\n\n" + layers(LayerCase.volumes, ["--volumes"])
    }

    private func layers(_ cases: [LayerCase], _ flags: [String]) throws -> String {
        let options = ["--threads", "\(threads)", "--repeat", "7"]
        let script = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../peer_layers.py").standardizedFileURL.path
        var best: LayerTimes?
        var bestPeer: [String: Double] = [:]
        for _ in 0..<comparison.rounds {
            comparison.announce("benchmarks", ["layers"] + flags)
            let data = try ChildProcess.ourselves(["layers"] + flags + options + ["--json"])
            let times = try JSONDecoder().decode(LayerTimes.self, from: data)
            best = best?.merged(with: times) ?? times
            if comparison.peer != nil {
                comparison.announce(script, [])
                let specifications = Set(cases.map(\.specification)).sorted()
                let data = try ChildProcess.run(comparison.python, [script] + options + specifications)
                bestPeer.merge(
                    try JSONDecoder().decode([String: Double].self, from: data), uniquingKeysWith: min)
            }
        }
        return best?.table(peer: bestPeer) ?? ""
    }
}
