import ArgumentParser
import Foundation
import VoxelBridge

struct KeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key",
        abstract: "Make the style key of a volume, or the average key of several.",
        discussion: """
            A key describes the grey values of a modality: a histogram of the foreground, its running sum and \
            its differences. Average the keys of several volumes for a style that no single one dominates.
            """)

    @Argument(help: "The volumes. Each is scaled to [0, 1]; what lies below 0.001 is background.")
    var volumes: [String]

    @Option(help: "Bins of the histogram; as many as the network takes.")
    var bins = 128

    @Option(help: "The file to write (.json). (default: standard output)")
    var output: String?

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    func validate() throws {
        guard (2...65536).contains(bins) else {
            throw ValidationError("--bins must be from 2 to 65536, and is \(bins)")
        }
    }

    func run() throws {
        if let output { try checkOutput(output, extensions: [".json"], inputs: volumes) }
        let logger = logging.logger
        let keys = try volumes.map { try readKey(ofVolume: $0, bins: bins, logger: logger) }
        let key = try StyleKey(averaging: keys)
        guard let output else { return try printJSON(key) }
        try key.write(to: URL(filePath: output))
        logger.info("Wrote \(output)")
    }
}
