import ArgumentParser
import Foundation

/// Times networks, their layers, a whole translation, a training step, and work on volumes, optionally compared with
/// other software.
@main
struct Benchmarks: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "benchmarks",
        abstract: "Times networks, their layers, a whole translation, a training step, and work on volumes.",
        subcommands: [
            AllCommand.self, NetworkCommand.self, LayersCommand.self, LatentCommand.self, TranslateCommand.self,
            TrainCommand.self, LatentTrainCommand.self, VolumesCommand.self, ResampleCommand.self, RegisterCommand.self,
            MetricsCommand.self,
            WriteWeightsCommand.self, RunPeerCommand.self,
        ])
}

/// The options of all measurements.
struct MeasuringOptions: ParsableArguments {
    @Option(help: "Number of threads.") var threads = 2
    @Option(name: .customLong("repeat"), help: "Number of runs after the warm-up; the shortest counts.")
    var repeats = 3
    @Flag(help: "Print JSON instead of a table.") var json = false

    /// Prints a result as JSON or as a table.
    func print<Result: Encodable>(_ result: Result, table: (Result) -> String) throws {
        Swift.print(json ? String(decoding: try JSONEncoder().encode(result), as: UTF8.self) : table(result))
    }
}
