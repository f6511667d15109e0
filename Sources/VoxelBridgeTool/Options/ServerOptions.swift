import ArgumentParser
import Foundation
import RemoteDenoising
import VoxelBridge

/// The servers of a translation.
struct ServerOptions: ParsableArguments {
    /// How tensors travel.
    enum Wire: String, CaseIterable, ExpressibleByArgument {
        case automatic, binary, json

        var encoding: RemoteOptions.Encoding {
            switch self {
            case .automatic: .automatic
            case .binary: .binary
            case .json: .json
            }
        }
    }

    @Option(
        name: .customLong("server"),
        help: ArgumentHelp(
            "The address of a server with the network, such as http://gpu-1:8000; may be repeated.",
            discussion: """
                All servers must have the same model. The state after each step is in OUTPUT.state, or in the file \
                --state: if all servers are lost, the same command continues from there.
                """, valueName: "url"))
    var urls: [String] = []

    @Option(
        help: ArgumentHelp(
            "Number of batches sent to the servers at the same time.",
            discussion: "Default: enough to occupy all their threads, plus one per server."))
    var inFlight: Int?

    @Option(help: "A file with the token that the servers require.")
    var tokenFile: String?

    @Option(help: "A file of certificate authorities for https (.pem). (default: the system's)")
    var certificates: String?

    @Option(help: "The time limit of one request, in seconds.")
    var timeout = 300.0

    @Option(help: "How tensors travel: automatic is binary where the server offers it.")
    var wire = Wire.automatic

    func validate() throws {
        if let inFlight { try require((1...4096).contains(inFlight), "--in-flight must be from 1 to 4096") }
        try require(timeout > 0 && timeout <= 1e6, "--timeout must be above zero, but is \(timeout)")
    }

    /// The options of the connections.
    func options() throws -> RemoteOptions {
        var options = RemoteOptions()
        options.token = try tokenFile.map { try readToken($0) }
        options.certificates = certificates.map { URL(filePath: $0) }
        options.timeout = .seconds(timeout)
        options.encoding = wire.encoding
        return options
    }
}

/// The token in a file, without the white space around it.
func readToken(_ path: String) throws -> String {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
        throw FileFailure(path: path, reason: "it cannot be read; expected a file with a token")
    }
    let token = text.trimmingCharacters(in: .whitespacesAndNewlines)
    guard !token.isEmpty, token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
        throw FileFailure(path: path, reason: "expected one word of ASCII characters, the token")
    }
    return token
}

/// 'translate' with networks on servers.
extension TranslateCommand {
    func translateRemotely() async throws {
        try translation.latent.refuse(for: model)
        try require(
            translation.options.config.isEmpty && translation.options.weights == nil
                && translation.network.winogradMemory == nil,
            "--config, --weights and --winograd-memory apply only to a network on this machine; use them with "
                + "'voxelbridge serve'")
        // Servers may be lost: there always is a state to continue from.
        let state = state ?? "\(output).state"
        let inputs = [source] + [translation.style].compactMap(\.self)
        try checkOutput(output, extensions: volumeExtensions, inputs: inputs)
        try checkOutput(state, extensions: [""], inputs: inputs + [output])
        let (sampling, logger) = (translation.sampling, logging.logger)
        var remote =
            model.hasSuffix(".json") ? try RemoteModel(contentsOf: URL(filePath: model)) : RemoteModel(model)
        remote.predictionType = sampling.predictionType ?? remote.predictionType
        let denoiser = try await RemoteDenoiser(
            servers.urls, model: remote, options: servers.options()
        ) { event in logger.warning("\(event)") }
        if denoiser.takesStyle, translation.style == nil {
            throw ValidationError(
                "the network on \(servers.urls[0]) takes a style: give a volume of the target modality or a key "
                    + "with --style")
        }
        if !denoiser.takesStyle, let style = translation.style {
            logger.warning("\(servers.urls[0]): the network takes no style; \(style) is ignored")
        }
        var settings = try sampling.settings(ofModel: denoiser.settings)
        settings.predictionType = denoiser.predictionType
        let work = try SliceTranslation(
            translation, model: model, settings: settings,
            styleBins: denoiser.takesStyle ? denoiser.styleBins ?? 128 : nil,
            dependsOnNoisy: denoiser.dependsOnNoisy,
            batchesInFlight: servers.inFlight ?? denoiser.batchesInFlight(ofSize: sampling.batch),
            logging: logging
        ) { denoiser }
        let start = ContinuousClock.now
        do {
            try await work.translate(
                TranslationFiles(
                    source: source, outputs: [.init(path: output, state: state, report: report)],
                    label: "Translating"))
        } catch let error as SliceSamplingError {
            guard case .denoiser(let reason as RemoteDenoisingError) = error.reason else { throw error }
            let isSaved = FileManager.default.fileExists(atPath: state)
            throw FileFailure(
                message: "\(reason). "
                    + (isSaved
                        ? "The run so far is saved in \(state): run the same command again to continue"
                        : "No step was complete: run the same command again"))
        }
        let traffic = denoiser.traffic
        guard traffic.windows > 0 else { return }
        logger.info("\(summary(of: traffic, after: ContinuousClock.now - start))")
    }

    /// Such as `1200 windows from 2 servers, 20.5 a second; 615.9 kB sent and 307.2 kB received for each; 4.0 % of the
    /// requests' time on the wire`.
    private func summary(of traffic: RemoteTraffic, after elapsed: Duration) -> String {
        let windows = Double(traffic.windows)
        let servers = servers.urls.count == 1 ? "one server" : "\(servers.urls.count) servers"
        var text = String(
            format: "%d windows from \(servers), %.1f a second; %.1f kB sent and %.1f kB received for each",
            traffic.windows, windows / (elapsed / .seconds(1)),
            Double(traffic.bytesSent) / windows / 1000, Double(traffic.bytesReceived) / windows / 1000)
        if let own = traffic.serverSeconds {
            text += String(
                format: "; %.1f %% of the requests' time on the wire",
                100 * max(0, traffic.seconds - own) / traffic.seconds)
        }
        return text + (traffic.retries > 0 ? "; \(traffic.retries) requests repeated" : "")
    }
}
