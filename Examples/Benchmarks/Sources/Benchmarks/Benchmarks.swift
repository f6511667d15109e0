import ArgumentParser
import Foundation

/// Times the network, its layers, a whole translation and a step of training, beside PyTorch where it is there.
@main
struct Benchmarks: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "benchmarks",
        abstract: "Times the network, its layers, a whole translation and a step of training.",
        subcommands: [
            AllCommand.self, NetworkCommand.self, LayersCommand.self, TranslateCommand.self,
            TrainCommand.self, WriteWeightsCommand.self, RunPeerCommand.self,
        ])
}

/// Options of every measurement.
struct MeasuringOptions: ParsableArguments {
    @Option(help: "Threads that are kept busy.") var threads = 2
    @Option(name: .customLong("repeat"), help: "Runs after the one to warm up; the shortest counts.")
    var repeats = 3
    @Flag(help: "Print JSON in place of a table.") var json = false

    /// Prints what was measured: as JSON where it is asked for, as `table` gives it otherwise.
    func print<Result: Encodable>(_ result: Result, table: (Result) -> String) throws {
        Swift.print(json ? String(decoding: try JSONEncoder().encode(result), as: UTF8.self) : table(result))
    }
}
