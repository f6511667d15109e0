import ArgumentParser
import BridgeTraining
import Foundation
import VolumePhantoms
import VoxelBridge
import VoxelSupport

extension PhantomSource: ExpressibleByArgument {}

struct PhantomCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "phantom",
        abstract: "Create synthetic subjects with CT, T1 and other images, and a manifest for training.",
        discussion: """
            Every subject's head is deformed from one anatomy. The source is a CT in Hounsfield units; the target \
            is a skull-stripped T1 image, whose contrast, bias field, noise and slice gains vary between subjects; \
            the mask is that of the brain. The same seed gives bit-identical subjects, for any number of subjects.

              voxelbridge phantom --subjects 40 --shape 96x96x96 --seed 1 --output cohort

            The folder contains sub-0001_source.nii.gz, sub-0001_target.nii.gz, sub-0001_mask.nii.gz and so on, \
            and manifest.csv with the columns subject, split, source, target, mask. To view a pair:

              cd cohort
              voxelbridge montage sub-0001_source.nii.gz sub-0001_target.nii.gz --output pair.png

            With --contrasts every subject has one skull-stripped image for each of t1, t2, flair and pd that is \
            named, and a CT for ct. T1 and CT are the same as without the option; the others follow from the \
            relaxation times of the tissues, each with its own bias field and noise. The manifest then has the columns \
            subject, split, the contrasts, mask, as training with several modalities reads it:

              voxelbridge phantom --subjects 30 --spacing 3 --contrasts t1,t2,flair,pd --output cohort

            The source is the head in the brain window of 0 to 80 HU (window), the head with all CT numbers (head), \
            or the skull-stripped brain in the window (brain). The window keeps the contrast of grey and white \
            matter when intensities are scaled for a network.
            """)

    @Option(help: "The folder to write to: new, empty, or an earlier cohort, which is replaced.")
    var output: String

    @Option(help: "Number of subjects.")
    var subjects = 10

    @Option(help: ArgumentHelp("Voxels along each axis.", valueName: "XxYxZ"))
    var shape = "96x96x96"

    @Option(help: "Distance between voxels, in millimetres. (default: the head fills the shape)")
    var spacing: Double?

    @Option(help: "The seed of all random numbers.")
    var seed: UInt64 = 0

    @Option(
        help:
            "A T1 image of a real brain, preferably skull-stripped (.nii or .nii.gz). (default: an analytic head)"
    )
    var anatomy: String?

    @Option(help: "The form of the sources.")
    var source = PhantomSource.window

    @Option(
        help: ArgumentHelp(
            "Contrasts, separated by commas: ct, t1, t2, flair, pd.",
            discussion: "Default: a CT and a T1 image, as source and target.", valueName: "list"))
    var contrasts: String?

    @Option(
        help: "The largest number of lesions in a subject's white matter; the number is drawn from 0 to this.")
    var lesions = 0

    @Option(help: "Fraction of subjects for validation, after those for training.")
    var validation = 0.1

    @Option(help: "Fraction of subjects for test, after those for validation.")
    var test = 0.1

    @OptionGroup
    var threads: ThreadOptions

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    private var extents: SIMD3<Int>? {
        let numbers = shape.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
        guard numbers.count == 3, numbers.allSatisfy({ (8...1024).contains($0 ?? 0) }) else { return nil }
        return SIMD3(numbers.map { $0! })
    }

    /// The contrasts named, or nil where one is unknown, named twice, or none is.
    private func parsed(_ list: String) -> [PhantomContrast]? {
        let names = list.split(separator: ",", omittingEmptySubsequences: false)
        let parsed = names.compactMap { PhantomContrast(rawValue: $0.trimmingCharacters(in: .whitespaces)) }
        return parsed.count == names.count && Set(parsed).count == parsed.count ? parsed : nil
    }

    func validate() throws {
        try require((1...9999).contains(subjects), "--subjects must be from 1 to 9999, but is \(subjects)")
        try require(
            extents != nil,
            "--shape must be three numbers from 8 to 1024 separated by x, such as 96x96x96, but is \(shape)")
        if let spacing, !(spacing > 0 && spacing.isFinite) {
            throw ValidationError("--spacing must be above zero, but is \(spacing)")
        }
        if let contrasts {
            try require(
                parsed(contrasts) != nil,
                "--contrasts must name some of ct, t1, t2, flair and pd once each, separated by commas, but is "
                    + contrasts)
        }
        try require((0...1000).contains(lesions), "--lesions must be from 0 to 1000, but is \(lesions)")
        try require(
            validation >= 0 && test >= 0 && validation + test < 1,
            "--validation and --test must not be negative, and their sum must be below 1, but is "
                + "\(validation + test)")
    }

    func run() async throws {
        let folder = CohortFolder(url: URL(filePath: output), contrasts: contrasts.flatMap(parsed))
        try folder.check()
        if let anatomy, folder.contains(URL(filePath: anatomy)) {
            throw ValidationError(
                "the anatomy, \(anatomy), is in the output's folder and might be overwritten; choose another folder"
            )
        }
        var acquisition = PhantomAcquisition()
        acquisition.lesions = 0...lesions
        let cohort = PhantomCohort(
            seed: seed, shape: extents!, spacing: spacing, anatomy: try readAnatomy(), acquisition: acquisition,
            source: source)
        logging.logger.debug(
            "\(shape) voxels of \(String(format: "%.4g", cohort.grid.spacing.x)) mm, \(threads.count) threads")
        let width = try parallelSubjects(of: cohort.grid.count)
        let lock = try folder.open()
        defer { withExtendedLifetime(lock) {} }
        let line = logging.quiet ? nil : ProgressLine(label: "Making")
        try await concurrently(subjects, at: width) { number in
            try folder.write(number, of: cohort)
        } done: { count in
            line?.show(count, of: subjects, detail: "subject \(count) of \(subjects)")
        }
        let splits = Manifest.Split.splits(count: subjects, validation: validation, test: test)
        try folder.finish(splits, lock)
        let counts = Manifest.Split.allCases.map { split in "\(splits.count { $0 == split }) \(split.rawValue)"
        }
        logging.logger.info(
            "Wrote \(subjects) subjects and \(folder.manifest.path): \(counts.joined(separator: ", "))")
    }

    /// How many subjects are made at a time: as many as there are threads and as fit into half of the memory.
    private func parallelSubjects(of voxels: Int) throws -> Int {
        // The tissues of a voxel, its intensities and what is computed on the way.
        let (bytes, available) = (voxels * 120, AvailableMemory.bytes)
        try require(
            bytes <= available,
            "--shape \(shape) needs about \(AvailableMemory.text(bytes)) of memory, but there are "
                + "\(AvailableMemory.text(available)); choose a smaller shape")
        return max(1, min(threads.count, available / 2 / bytes))
    }

    private func readAnatomy() throws -> PhantomAnatomy {
        guard let anatomy else { return .analytic }
        let t1 = try readVolume(anatomy, logger: logging.logger).volume
        return try naming(anatomy) { try PhantomAnatomy(t1: t1) }
    }

    /// Runs `count` tasks, `width` of them in parallel, and reports the number done.
    private func concurrently(
        _ count: Int, at width: Int, _ work: @escaping @Sendable (Int) throws -> Void, done: (Int) -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<min(width, count) { group.addTask { try work(number) } }
            for finished in 1...count {
                try await group.next()
                done(finished)
                let next = finished - 1 + width
                if next < count { group.addTask { try work(next) } }
            }
        }
    }
}

/// The folder of a cohort: each subject's images and mask, and the manifest.
///
/// While the cohort is made, a hidden file marks it as such, which the process that makes it keeps locked. If that is
/// interrupted, the mark stays, and the same command starts again.
private struct CohortFolder {
    let url: URL
    /// The images of each subject; nil for a source and a target.
    let contrasts: [PhantomContrast]?

    var manifest: URL { url.appending(path: "manifest.csv") }
    private var mark: URL { url.appending(path: ".cohort-in-progress") }

    /// Checks that the folder is new, empty, or that of a cohort.
    func check() throws {
        guard FileManager.default.fileExists(atPath: url.path) else { return try checkParent(ofOutput: url) }
        try require(isFolder(url), "the output, \(url.path), exists and is not a folder; choose another name")
        let files = try FileManager.default.contentsOfDirectory(atPath: url.path)
        try require(
            files.isEmpty || files.contains(manifest.lastPathComponent)
                || files.contains(mark.lastPathComponent),
            "the output, \(url.path), contains other files (\(files.min() ?? "")) and no manifest.csv of an "
                + "earlier cohort; choose another name, or empty it")
    }

    /// Whether a file is in the folder.
    func contains(_ file: URL) -> Bool {
        file.standardizedFileURL.resolvingSymlinksInPath().deletingLastPathComponent().path
            == url.standardizedFileURL.resolvingSymlinksInPath().path
    }

    /// Creates the folder, marks and locks it, and removes an earlier manifest: it must not list partly replaced subjects.
    func open() throws -> FileLock {
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        let lock: FileLock
        do { lock = try FileLock(mark) } catch {
            throw FileFailure(
                path: url.path,
                reason: error.code == EWOULDBLOCK
                    ? "another process is making a cohort in this folder; wait until it ends, or choose another name"
                    : "the folder cannot be written to (\(error))")
        }
        if FileManager.default.fileExists(atPath: manifest.path) {
            try FileManager.default.removeItem(at: manifest)
        }
        return lock
    }

    func write(_ number: Int, of cohort: PhantomCohort) throws {
        let images = cohort.images(of: number, in: contrasts ?? [.ct, .t1])
        for (contrast, volume) in images.volumes { try write(volume, number, part(contrast)) }
        try write(images.mask, number, "mask")
    }

    private func write(_ volume: Volume, _ number: Int, _ part: String) throws {
        try volume.write(to: file(name(number), part), text: "voxelbridge phantom, a synthetic head")
    }

    /// What an image is called.
    private func part(_ contrast: PhantomContrast) -> String {
        contrasts == nil ? contrast == .ct ? "source" : "target" : contrast.rawValue
    }

    /// Writes the manifest, and removes what is left of an earlier cohort of more subjects or other contrasts, and the mark.
    func finish(_ splits: [Manifest.Split], _ lock: FileLock) throws {
        let parts = (contrasts ?? [.ct, .t1]).map(part) + ["mask"]
        let rows = splits.enumerated().map { number, split in
            [name(number), split.rawValue] + parts.map { file(name(number), $0).lastPathComponent }
        }
        let others = Set(["source", "target", "mask"] + PhantomContrast.allCases.map(\.rawValue)).subtracting(
            parts)
        for number in 0..<9999 {
            for part in number < splits.count ? Array(others) : parts + others {
                let file = file(name(number), part).path
                if access(file, F_OK) == 0 { try FileManager.default.removeItem(atPath: file) }
            }
        }
        let text = ([["subject", "split"] + parts] + rows).map { $0.joined(separator: ",") + "\n" }.joined()
        try AtomicFile.write(Data(text.utf8), to: manifest)
        lock.removeFile()
    }

    private func name(_ number: Int) -> String { String(format: "sub-%04d", number + 1) }

    private func file(_ name: String, _ part: String) -> URL {
        url.appending(path: "\(name)_\(part).nii.gz")
    }
}
