import ArgumentParser
import Foundation
import VoxelBridge

struct BidsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bids",
        abstract: "Translate the subjects of a BIDS data set, and evaluate them together.",
        discussion: """
            A BIDS App: participant translates volumes one by one, group makes tables and a report of all. The results \
            are a BIDS derivative data set. Here the CT of every subject is translated to a T1w image:

              voxelbridge bids data data/derivatives/voxelbridge participant --source-suffix ct \\
                  --target-suffix T1w --model run/model.safetensors --style run/style.json
              voxelbridge bids data data/derivatives/voxelbridge group

            sub-01/ct/sub-01_ct.nii.gz becomes sub-01/anat/sub-01_desc-fromct_T1w.nii.gz, and a sidecar beside it \
            says what it was made from and how: its source, model, style, settings and version. A result is skipped if \
            it exists and nothing that decides it has changed. To resume an interrupted run, even in the middle of a \
            volume, give the same command again. --dry-run lists what would be done.

            A volume that fails is reported, the rest are translated, and the exit code is 1. Any number of \
            participants may be translated at the same time, on one machine (--jobs) or on many (--participant-label); \
            Examples/Cohort has a workflow for Slurm and Kubernetes.

            The group level compares results with acquired volumes of the same suffix, where subjects have them, as \
            'voxelbridge evaluate' does. It writes group/results.tsv with all results, and in a folder for each \
            suffix the metrics, their summary and a report.
            """)

    /// What is done: something for each subject, or something for all.
    enum Level: String, CaseIterable, ExpressibleByArgument {
        case participant, group
    }

    @Argument(help: "The data set, a folder in BIDS form.")
    var bidsDir: String

    @Argument(help: "The folder for results; it is created if necessary.")
    var outputDir: String

    @Argument(help: "participant: translate volumes; group: evaluate all results.")
    var level: Level

    @OptionGroup(title: "Subjects and volumes")
    var selection: BidsSelection

    @Option(
        help: ArgumentHelp(
            "A network's weights (.safetensors, .pth or .ckpt), or 'histogram' for histogram matching.",
            discussion: "Required at the participant level."))
    var model: String?

    @Flag(help: "List what would be done, and why, and stop.")
    var dryRun = false

    @Flag(
        help: ArgumentHelp(
            "Declare that the sources are skull-stripped, if their sidecars do not say so.",
            discussion: """
                Sets SkullStripped to true in the results' sidecars. --mask brain, or a data set of masks, sets it too.
                """))
    var skullStripped = false

    @Option(help: "Number of volumes to translate at the same time; they share the threads.")
    var jobs = 1

    @Flag(
        name: [.customLong("skip-bids-validation"), .customLong("skip_bids_validation")],
        help: "Do not check that the data set has a valid dataset_description.json.")
    var skipBidsValidation = false

    @OptionGroup(title: "Group level")
    var evaluation: BidsEvaluation

    @OptionGroup
    var translation: TranslationOptions

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    func validate() throws {
        try require((1...1024).contains(jobs), "--jobs must be from 1 to 1024, but is \(jobs)")
        guard level == .participant else { return }
        guard let model else {
            throw ValidationError("give a network's weights, or 'histogram', with --model")
        }
        try translation.check(with: model)
        try require(
            !selection.sourceSuffix.isEmpty,
            "give the suffix of the volumes to translate with --source-suffix, such as ct or T1w")
        let latent = translation.latent
        for (option, isGiven) in [
            ("--reference", latent.reference != nil), ("--noise", latent.noise != nil),
            ("--encode-only", latent.encodeOnly), ("--decode", latent.decode),
        ] where isGiven {
            throw ValidationError(
                "\(option) applies to a single volume; use it with 'voxelbridge translate'")
        }
    }

    func run() async throws {
        let source = try BidsDataset(bidsDir, isChecked: !skipBidsValidation)
        let derivative = try BidsDerivative(outputDir, source: source)
        let masks = try maskDataset()
        switch level {
        case .participant:
            try await BidsParticipants(
                command: self, source: source, derivative: derivative, masks: masks
            ).run()
        case .group:
            try await BidsGroup(
                selection: selection, evaluation: evaluation, source: source, derivative: derivative,
                masks: masks,
                references: try evaluation.references.map { try BidsDataset($0, isChecked: false) } ?? source,
                threads: translation.sampling.threads.count, logging: logging, isDryRun: dryRun
            ).run()
        }
    }

    /// The data set of masks, if `--mask` names a folder.
    private func maskDataset() throws -> BidsDataset? {
        guard let mask = translation.intensities.mask, MaskMethod(rawValue: mask) == nil else { return nil }
        guard isFolder(URL(filePath: mask)) else {
            throw ValidationError(
                "--mask must be one of \(MaskMethod.allNames), or a BIDS data set with a mask of each subject, but is "
                    + "\(mask)")
        }
        return try BidsDataset(mask, isChecked: false)
    }
}

/// Which volumes of a data set are translated, and what their translations are called.
struct BidsSelection: ParsableArguments {
    @Option(
        name: [.customLong("participant-label"), .customLong("participant_label")], parsing: .upToNextOption,
        help: ArgumentHelp(
            "The participants, with or without sub-. (default: all)", valueName: "label"))
    var participantLabel: [String] = []

    @Option(
        name: [.customLong("session-label"), .customLong("session_label")], parsing: .upToNextOption,
        help: ArgumentHelp("The sessions, with or without ses-. (default: all)", valueName: "label"))
    var sessionLabel: [String] = []

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "The suffix of the volumes to translate, such as ct or T1w; several for several kinds.",
            valueName: "suffix"))
    var sourceSuffix: [String] = []

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "The suffix of the results, such as T1w; one for each target of a latent model.",
            discussion: """
                Default: that of the source for the histogram model, those of a latent model's targets where they \
                are known (t1: T1w, t2: T2w, flair: FLAIR, pd: PDw), that of --style where it is a file of a BIDS \
                data set.
                """, valueName: "suffix"))
    var targetSuffix: [String] = []

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Only volumes with these entities, such as acq-highres or run-1.", valueName: "entity"))
    var entity: [String] = []

    @Option(
        help: ArgumentHelp(
            "The label of the desc entity in the results' names.",
            discussion: "{source} stands for the source's suffix, {target} for a latent model's target."))
    var desc = "from{source}"

    func validate() throws {
        for (option, labels) in [("--source-suffix", sourceSuffix), ("--target-suffix", targetSuffix)] {
            for label in labels where !label.isBidsLabel {
                throw ValidationError("\(option) must be of letters and digits, such as T1w, but is '\(label)'")
            }
        }
        for text in entity where BidsName.Entity(text) == nil {
            throw ValidationError("--entity must be like run-1, but is '\(text)'")
        }
        try require(
            label(source: "ct", target: "t1").isBidsLabel,
            "--desc must be of letters and digits, {source} and {target}, but is '\(desc)'")
    }

    /// The label of `desc`.
    func label(source: String, target: String) -> String {
        desc.replacing("{source}", with: source)
            .replacing("{target}", with: target.filter { String($0).isBidsLabel })
    }

    /// The labels of the participants that were asked for; nil for all.
    var participants: Set<String>? { Self.labels(participantLabel, prefix: "sub-") }

    /// Whether a name has the sessions and entities that were asked for.
    func contains(_ name: BidsName) -> Bool {
        if let sessions = Self.labels(sessionLabel, prefix: "ses-") {
            guard let session = name["ses"], sessions.contains(session) else { return false }
        }
        return entity.allSatisfy { text in BidsName.Entity(text).map { name[$0.key] == $0.label } ?? false }
    }

    /// The subjects of a data set that were asked for.
    func subjects(of dataset: BidsDataset) throws -> [String] {
        let all = try dataset.subjects
        guard let participants else { return all }
        if let unknown = participants.subtracting(all).min() {
            let shown = all.prefix(20).joined(separator: ", ") + (all.count > 20 ? ", ..." : "")
            throw FileFailure(
                path: dataset.folder.path,
                reason: "there is no sub-\(unknown); "
                    + (all.isEmpty ? "there are no subjects" : "there are \(shown)"))
        }
        return all.filter(participants.contains)
    }

    private static func labels(_ texts: [String], prefix: String) -> Set<String>? {
        texts.isEmpty ? nil : Set(texts.map { $0.hasPrefix(prefix) ? String($0.dropFirst(prefix.count)) : $0 })
    }
}
