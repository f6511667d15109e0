import ArgumentParser
import Foundation
import Synchronization
import VoxelBridge
import VoxelSupport

/// The participant level: finds the volumes to translate, and translates those that are not done.
struct BidsParticipants {
    let command: BidsCommand
    let source: BidsDataset
    let derivative: BidsDerivative
    /// A mask of each subject; nil for the masks that the options find.
    let masks: BidsDataset?

    private var selection: BidsSelection { command.selection }

    func run() async throws {
        let model = command.model ?? ""
        var options = command.translation
        options.sampling.threads.threads = max(1, options.sampling.threads.count / command.jobs)
        let translation = try options.translation(by: model, logging: command.logging)
        let suffixes = try targetSuffixes(of: translation)
        let volumes = try sources()
        let plan = BidsPlan(volumes, selection: selection, suffixes: suffixes, targets: translation.targets)
        let maker = try BidsMaker(
            translation: translation, model: model, command: command, source: source, derivative: derivative,
            masks: masks)
        guard !command.dryRun else { return try list(plan, by: maker) }
        try derivative.open(source: source, masks: masks)
        let outcome = try await maker.make(plan.volumes, jobs: command.jobs)
        let failures = plan.conflicts + outcome.failures
        for conflict in plan.conflicts { command.logging.logger.error("\(conflict.message)") }
        command.logging.logger.info(
            "Translated \(outcome.made), skipped \(outcome.skipped) that were done, in \(derivative.folder.path)"
        )
        guard failures.isEmpty else {
            let subjects = Set(failures.map { "sub-\($0.subject)" }).sorted()
            throw FileFailure(
                path: source.folder.path,
                reason: """
                    \(failures.count) \(failures.count == 1 ? "volume" : "volumes") of \
                    \(subjects.joined(separator: ", ")) could not be translated; see above
                    """)
        }
    }

    /// The volumes to translate, sorted.
    private func sources() throws -> [BidsDataset.File] {
        let subjects = try selection.subjects(of: source)
        var found: [BidsDataset.File] = []
        var others: Set<String> = []
        for subject in subjects {
            let volumes = try source.volumes(of: subject)
            others.formUnion(volumes.map(\.name.suffix))
            let own = volumes.filter {
                selection.sourceSuffix.contains($0.name.suffix) && selection.contains($0.name)
            }
            if own.isEmpty {
                command.logging.logger.warning(
                    """
                    sub-\(subject) has no selected volume with the suffix \
                    \(selection.sourceSuffix.joined(separator: " or "))
                    """)
            }
            found += own
        }
        guard !found.isEmpty else {
            throw FileFailure(
                path: source.folder.path,
                reason: """
                    there is no volume to translate (\(selection.sourceSuffix.joined(separator: ", "))); the subjects \
                    have \(others.isEmpty ? "no volumes" : others.sorted().joined(separator: ", "))
                    """)
        }
        return found
    }

    /// The suffix of each target's results; for the histogram model none, since it is the source's.
    private func targetSuffixes(of translation: any FileTranslation) throws -> [String] {
        let targets = translation.targets
        let given = selection.targetSuffix
        if !targets.isEmpty {
            guard given.isEmpty else {
                try require(
                    given.count == targets.count,
                    "--target-suffix must have one suffix for each --target (\(targets.count)), but has \(given.count)"
                )
                return given
            }
            return try targets.map { target in
                guard let suffix = BidsResult.suffix(ofModality: target) else {
                    throw ValidationError("give the suffix of results of '\(target)' with --target-suffix")
                }
                return suffix
            }
        }
        try require(
            given.count <= 1, "a model of slices has one target, but --target-suffix has \(given.count)")
        if !given.isEmpty || command.model == "histogram" { return given }
        let style = command.translation.style.map { URL(filePath: $0).lastPathComponent }
        if let name = style.flatMap({ BidsName($0) }), BidsResult.datatype(of: name.suffix) != nil {
            return [name.suffix]
        }
        throw ValidationError("give the suffix of the results with --target-suffix, such as T1w")
    }

    /// Prints what would be done.
    private func list(_ plan: BidsPlan, by maker: BidsMaker) throws {
        for result in plan.volumes.flatMap(\.results) {
            let status: String
            do {
                switch try maker.status(of: result) {
                case .done: status = "done"
                case .missing: status = "to do"
                case .outdated(let fields): status = "to do again (\(fields.joined(separator: ", ")) changed)"
                }
            } catch { status = "fails (\(error))" }
            print("\(result.source.path) -> \(result.path): \(status)")
        }
        for conflict in plan.conflicts { print(conflict.message) }
    }
}

/// What a source becomes.
struct BidsPlan {
    /// A source with its results.
    struct Volume: Sendable {
        let source: BidsDataset.File
        let results: [BidsResult]
    }

    /// A volume that cannot be translated, and why.
    struct Failure: Sendable {
        let subject: String
        let message: String
    }

    private(set) var volumes: [Volume] = []
    /// Sources that would become one file.
    private(set) var conflicts: [Failure] = []

    init(
        _ sources: [BidsDataset.File], selection: BidsSelection, suffixes: [String], targets: [String]
    ) {
        let all = sources.map { source in
            let targets = targets.isEmpty ? [""] : targets
            return Volume(
                source: source,
                results: targets.enumerated().map { index, target in
                    BidsResult(
                        of: source, target: target,
                        suffix: index < suffixes.count ? suffixes[index] : source.name.suffix,
                        label: selection.label(source: source.name.suffix, target: target))
                })
        }
        let byPath = Dictionary(grouping: all.flatMap(\.results), by: \.path).filter { $0.value.count > 1 }
        for (path, results) in byPath.sorted(by: { $0.key < $1.key }) {
            let causes = results.map { $0.source.path + ($0.target.isEmpty ? "" : " (\($0.target))") }
            conflicts.append(
                Failure(
                    subject: results[0].source.subject,
                    message: """
                        \(causes.joined(separator: " and ")) would both become \(path); choose one with --entity, or \
                        tell them apart with --desc
                        """))
        }
        volumes = all.map { volume in
            Volume(source: volume.source, results: volume.results.filter { byPath[$0.path] == nil })
        }.filter { !$0.results.isEmpty }
    }
}
