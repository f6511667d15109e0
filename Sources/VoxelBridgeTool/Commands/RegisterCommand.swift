import ArgumentParser
import Foundation
import VolumeRegistration
import VoxelBridge
import VoxelSupport

struct RegisterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "register",
        abstract: "Align a volume with another by a rigid motion, whatever their modalities.",
        discussion: """
            Finds the rotation and translation of the moving volume that maximise normalised mutual information, prints \
            them, and writes the aligned volume, the transform, or both:

              voxelbridge register ct.nii.gz t1.nii.gz --output ct-aligned.nii.gz
              voxelbridge register ct.nii.gz t1.nii.gz --transform ct-to-t1.tfm

            Volumes need not overlap at first. Starts of up to 25 degrees about each axis are searched \
            (--search-angle), about 40 degrees in all. A doubtful result is written with a warning: look at it.

            A transform is written as JSON (.json: the matrix from the moving volume's positions to the fixed one's, in \
            millimetres, RAS), or in ITK's text format (.txt or .tfm), with which antsApplyTransforms and ITK resample \
            the moving volume onto the fixed one. To apply one to another volume of the same scan:

              voxelbridge register labels.nii.gz t1.nii.gz --output labels-aligned.nii.gz --initial ct-to-t1.tfm \\
                  --only-apply --apply header
            """)

    /// How the motion is applied.
    enum Application: String, CaseIterable, ExpressibleByArgument {
        case resample, header
    }

    @Argument(help: "The volume to move (.nii or .nii.gz).")
    var moving: String

    @Argument(help: "The volume that stays (.nii or .nii.gz).")
    var fixed: String

    @Option(help: "The aligned volume to write (.nii or .nii.gz).")
    var output: String?

    @Option(help: "The transform to write (.json, or .txt or .tfm for ITK and ANTs).")
    var transform: String?

    @Option(
        help: """
            'resample' interpolates the moving volume onto the fixed one's grid; 'header' changes its position alone, and \
            keeps its voxels.
            """)
    var apply = Application.resample

    @Option(help: "The transform to start from (.json, .txt or .tfm).")
    var initial: String?

    @Flag(help: "Apply the transform of --initial as it is.")
    var onlyApply = false

    @Option(help: "A volume on the fixed one's grid that is above zero where volumes are compared.")
    var mask: String?

    @Option(
        help: """
            The rotation, about each axis, of the starting poses to compare, in degrees. With 0, only the given pose is \
            used.
            """)
    var searchAngle = RigidRegistration().searchAngle

    @Option(help: "Number of points at which the volumes are compared at the finest resolution.")
    var samples = RigidRegistration().samples

    @Option(help: "Number of bins of the joint histogram.")
    var bins = RigidRegistration().bins

    @Option(help: "The fraction of the fixed volume that must lie in the moving volume's field of view.")
    var minimumOverlap = RigidRegistration().minimumOverlap

    @Flag(help: "Print a JSON object.")
    var json = false

    @OptionGroup
    var threads: ThreadOptions

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    func validate() throws {
        try require(
            output != nil || transform != nil, "nothing would be written; give --output, --transform or both")
        try require(!onlyApply || initial != nil, "--only-apply needs the transform to apply: --initial FILE")
        try require(
            (0...90).contains(searchAngle), "--search-angle must be from 0 to 90 degrees, but is \(searchAngle)"
        )
        try require(
            (1000...100_000_000).contains(samples),
            "--samples must be from 1000 to 100000000, but is \(samples)")
        try require((8...256).contains(bins), "--bins must be from 8 to 256, but is \(bins)")
        try require(
            (0...1).contains(minimumOverlap), "--minimum-overlap must be from 0 to 1, but is \(minimumOverlap)")
    }

    func run() async throws {
        let logger = logging.logger
        let inputs = [moving, fixed] + [initial, mask].compactMap { $0 }
        if let output { try checkOutput(output, extensions: volumeExtensions, inputs: inputs) }
        if let transform {
            try checkOutput(transform, extensions: RigidTransform.fileExtensions, inputs: inputs)
        }
        let movingVolume = try readVolume(moving, logger: logger).volume
        let fixedFile = try readVolume(fixed, logger: logger)
        let start = try initial.map { try RigidTransform(contentsOf: $0) } ?? .identity
        let report =
            onlyApply
            ? Report(transform: start)
            : Report(try await align(movingVolume, to: fixedFile.volume, from: start))
        for warning in report.warnings { logger.warning("\(moving): \(warning)") }
        if let transform {
            try report.transform.write(to: transform)
            logger.info("Wrote \(transform)")
        }
        if let output {
            let aligned =
                apply == .header
                ? movingVolume.moved(by: report.transform)
                : movingVolume.resampled(onto: fixedFile.volume.grid, by: report.transform)
            try aligned.write(
                to: output, space: fixedFile.header.space ?? .aligned, text: "voxelbridge register")
            logger.info("Wrote \(output)")
        }
        if json { try printJSON(report) } else { print(report.lines.joined(separator: "\n")) }
    }

    private func align(
        _ movingVolume: Volume, to fixedVolume: Volume, from start: RigidTransform
    ) async throws -> RegistrationResult {
        let maskVolume = try mask.map { try readVolume($0, logger: logging.logger).volume }
        var registration = RigidRegistration()
        registration.threads = threads.count
        (registration.samples, registration.bins) = (samples, bins)
        (registration.searchAngle, registration.minimumOverlap) = (searchAngle, minimumOverlap)
        let line = logging.quiet ? nil : ProgressLine(label: "Registering")
        do {
            return try await registration.align(
                movingVolume, to: fixedVolume, mask: maskVolume, startingAt: start
            ) { fraction in
                line?.show(Int(fraction * 100), of: 100, detail: moving)
            }
        } catch let error as RegistrationError {
            throw FileFailure(path: "\(moving), \(fixed)", reason: error.explanation)
        }
    }

    /// What is printed.
    private struct Report: Encodable {
        let transform: RigidTransform
        var similarity: Double?
        var initialSimilarity: Double?
        var overlap: Double?
        var warnings: [String] = []

        init(transform: RigidTransform) { self.transform = transform }

        init(_ result: RegistrationResult) {
            transform = result.transform
            (similarity, initialSimilarity) = (result.similarity, result.initialSimilarity)
            overlap = result.overlap
            warnings = result.warnings.map(\.description)
        }

        /// A line for each field.
        var lines: [String] {
            func list(_ values: SIMD3<Double>) -> String {
                (0..<3).map { String(format: "%.4f", values[$0]) }.joined(separator: ", ")
            }
            var facts = [
                ("rotation", list(transform.degrees) + " degrees about x, y, z"),
                ("translation", list(transform.translation) + " mm"),
            ]
            if let similarity {
                let before = initialSimilarity.map { String(format: " (%.4f at the start)", $0) } ?? ""
                facts.append(("similarity", String(format: "%.4f", similarity) + before))
            }
            if let overlap { facts.append(("overlap", String(format: "%.0f %%", overlap * 100))) }
            return facts.map { $0.0.padding(toLength: 13, withPad: " ", startingAt: 0) + $0.1 }
        }
    }
}
