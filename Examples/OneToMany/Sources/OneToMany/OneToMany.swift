import ArgumentParser

/// One T1 image to T2, FLAIR and proton density, with a 3-D latent model that was trained on synthetic subjects.
@main
struct OneToMany: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "OneToMany",
        abstract: "Translate one synthetic T1 image to several contrasts, and compare with the truths.",
        subcommands: [Demonstration.self, SubjectsCommand.self], defaultSubcommand: Demonstration.self)
}
