import ArgumentParser

/// Demonstrates the network, and measures the effect of each part of the method.
@main
struct CTToMRI: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "CTToMRI",
        abstract: "Translate synthetic CT to T1 with the demonstration network, and compare with the truth.",
        subcommands: [Demonstration.self, Ablation.self, Corrections.self],
        defaultSubcommand: Demonstration.self)
}
