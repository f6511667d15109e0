import ArgumentParser
import DenoisingServer
import Foundation
import VoxelBridge

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve a network over HTTP, for translations on other machines.",
        discussion: """
            It speaks the Open Inference Protocol (KServe V2) with the binary tensor extension, so that clients of \
            Triton, KServe and MLServer can use it too. 'voxelbridge translate' needs the address only:

              voxelbridge serve --model run/model.safetensors --port 8000
              voxelbridge translate ct.nii.gz mri.nii.gz --server http://127.0.0.1:8000 --style run/style.json

            Without --host it can be reached from this machine only. On a network, give a token to those who may use \
            it; connections are not encrypted, so put a proxy with TLS in front on an untrusted network:

              voxelbridge serve --model run/model.safetensors --host 0.0.0.0 --token-file token.txt

            GET /metrics has counters in Prometheus' format. SIGTERM and Ctrl-C stop it: requests already accepted are \
            answered first.
            """)

    @Option(help: "The network's weights (.safetensors, .pth or .ckpt).")
    var model: String

    @OptionGroup
    var options: WeightsOptions

    @OptionGroup
    var network: NetworkOptions

    @Option(
        name: [.customLong("prediction-type"), .customLong("objective")],
        help: "The quantity that the network predicts. (default: the model's, else gradient)")
    var predictionType: PredictionType?

    @Option(help: "The model's name in requests.")
    var name = "denoiser"

    @Option(help: "The address to listen on; 0.0.0.0 for all network interfaces.")
    var host = "127.0.0.1"

    @Option(help: "The port; 0 for any free port.")
    var port = 8000

    @OptionGroup
    var threads: ThreadOptions

    @Option(help: "A file with a token that clients must send.")
    var tokenFile: String?

    @Option(help: "The largest request, in MiB.")
    var maximumRequest = 64

    @Option(
        help: ArgumentHelp(
            "The number of requests accepted at a time, waiting or being computed.",
            discussion: "Further ones get 503 and Retry-After."))
    var maximumRequests = 256

    @Option(help: "Rows times columns of the largest slice: memory grows with it.")
    var maximumPixels = 512 * 512

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    func validate() throws {
        try require((0...65535).contains(port), "--port must be from 0 to 65535, but is \(port)")
        try require(
            (1...4096).contains(maximumRequest),
            "--maximum-request must be from 1 to 4096, but is \(maximumRequest)")
        try require(
            (1...1 << 20).contains(maximumRequests),
            "--maximum-requests must be from 1 to 1048576, but is \(maximumRequests)")
        try require(
            (1...1 << 30).contains(maximumPixels),
            "--maximum-pixels must be from 1 to 1073741824, but is \(maximumPixels)")
        try require(
            !name.isEmpty
                && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) },
            "--name must consist of letters, digits, '-', '_' and '.', but is '\(name)'")
    }

    func run() async throws {
        let logger = logging.logger
        guard FileManager.default.fileExists(atPath: model) else {
            throw FileFailure(path: model, reason: "there is no such file; give a network's weights")
        }
        var options = ModelServer.Options()
        (options.host, options.port, options.threads) = (host, port, threads.count)
        (options.maximumRequestBytes, options.maximumRequests) = (maximumRequest << 20, maximumRequests)
        options.token = try tokenFile.map { try readToken($0) }
        let weights = try self.options.find(in: model)
        logger.info("Reading the weights in \(model)")
        let unet = try UNet(weights, options: network.compute(threads: threads.count))
        let server = ModelServer(
            UNetModel(unet, predictionType: predictionType, maximumPixels: maximumPixels), name: name,
            options: options, logger: logger)
        if options.token == nil, !["127.0.0.1", "::1", "localhost"].contains(host) {
            logger.warning(
                "anyone who can reach \(host) can use this server; restrict access with --token-file")
        }
        let (name, host, threads) = (name, host, threads.count)
        try await server.run(stopsOnSignals: true) { port in
            logger.info("Serving '\(name)' on http://\(host):\(port) with \(threads) threads; Ctrl-C stops it")
        }
        logger.info("Stopped")
    }
}
