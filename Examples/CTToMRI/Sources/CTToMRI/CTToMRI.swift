import ArgumentParser

/// What the demonstration network can do, and what each part of the method adds.
@main
struct CTToMRI: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "CTToMRI",
        abstract: "Translate synthetic CT into T1 with the demonstration network, and compare with the truth.",
        subcommands: [Demonstration.self, Ablation.self, Corrections.self],
        defaultSubcommand: Demonstration.self)
}
