import ArgumentParser
import VoxelBridge

struct PreprocessCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "preprocess",
        abstract: "Prepare a volume as 'translate' does, and write the model's input.",
        discussion: """
            By default: intensities scaled to [0, 1] with background at 0, RAS orientation, an isotropic spacing, the \
            bounding box of the foreground, rows and columns padded to a multiple.

            --save-pipeline writes these steps as JSON, with the box that was found. Another volume on the same grid is \
            prepared in the same way, so that voxels correspond:

              voxelbridge preprocess ct.nii.gz ct_in.nii.gz --save-pipeline steps.json
              voxelbridge preprocess t1.nii.gz t1_in.nii.gz --pipeline steps.json
              voxelbridge preprocess labels.nii.gz labels_in.nii.gz --pipeline steps.json --labels

            --onto resamples a volume onto the grid of another one.
            """)

    @Argument(help: "The volume to prepare (.nii or .nii.gz).")
    var source: String

    @Argument(help: "The file to write (.nii or .nii.gz).")
    var output: String

    @OptionGroup(title: "Geometry")
    var geometry: GeometryOptions

    @Option(help: "Apply the steps in this file (JSON) instead.", completion: .file(extensions: ["json"]))
    var pipeline: String?

    @Option(help: "Write the steps to this file (JSON), with the box that was cropped to.")
    var savePipeline: String?

    @Flag(help: "The volume has labels: keep its values, and take the nearest voxel instead of interpolating.")
    var labels = false

    @OptionGroup(title: "Intensities")
    var intensities: IntensityOptions

    @OptionGroup(title: "Messages")
    var logging: LoggingOptions

    func validate() throws {
        try require(
            pipeline == nil || geometry.isEmpty && !intensities.statesRule,
            "--pipeline states all steps; leave out the options of geometry and intensities")
    }

    func run() throws {
        let logger = logging.logger
        let inputs = [source, pipeline, geometry.onto].compactMap(\.self)
        try checkOutput(output, extensions: volumeExtensions, inputs: inputs)
        if let savePipeline { try checkOutput(savePipeline, extensions: [".json"], inputs: inputs) }
        let file = try readVolume(source, logger: logger)
        let mask = try intensities.foreground(of: file.volume, in: source, logger: logger)
        let reference = try geometry.onto.map { try NIfTIHeader(contentsOf: $0) }
        var steps =
            try pipeline.map { try PreprocessingPipeline(contentsOf: $0) }
            ?? geometry.pipeline(onto: reference?.grid, intensities: intensities.step())
        if labels { steps = steps.forLabels }
        let prepared = try naming(source) { try steps.apply(to: file.volume, mask: mask) }
        for warning in prepared.warnings { logger.warning("\(source): \(warning)") }
        for warning in prepared.geometryWarnings { logger.warning("\(source): \(warning)") }
        try prepared.volume.write(
            to: output, like: reference ?? file.header, text: "voxelbridge preprocess")
        logger.info("Wrote \(output)")
        if let savePipeline {
            try prepared.pipeline.write(to: savePipeline)
            logger.info("Wrote \(savePipeline)")
        }
    }
}

/// The options for a grid.
struct GeometryOptions: ParsableArguments {
    /// Published preparations.
    enum Preset: String, CaseIterable, ExpressibleByArgument {
        case brain
        case ctToMRI = "ct-to-mri"
        case brats
        case latent

        func pipeline(_ intensities: RescaleIntensity) -> PreprocessingPipeline {
            switch self {
            case .brain: .brain(intensities: intensities)
            case .ctToMRI: .brainCTToMRI(intensities: intensities)
            case .brats: .brats(intensities: intensities)
            case .latent: .latentBrain().appending(intensities)
            }
        }
    }

    @Option(
        help: """
            A published preparation to start from: brain, cropped to the foreground; ct-to-mri, 160 x 160 x 160 voxels \
            of 1 mm; brats, 176 x 176 x 160; latent, 144 x 192 x 144. (default: brain)
            """)
    var preset: Preset?

    @Option(help: "Resample onto the grid of this volume (.nii or .nii.gz), without cropping.")
    var onto: String?

    @Option(
        help: """
            The orientation as three letters: the directions in which column, row and slice indices increase. \
            (default: RAS)
            """)
    var orientation: Orientation?

    @Option(help: "Distance between voxels, in millimetres. (default: 1)")
    var spacing: Double?

    @Option(help: "The interpolation between voxels: nearest, linear or cubic. (default: linear)")
    var interpolation: Interpolation?

    @Option(
        help: "The smoothing before resampling to a coarser grid: gaussian or none. (default: gaussian)")
    var antialiasing: Antialiasing?

    @Option(help: "Number of voxels kept around the foreground. (default: 0)")
    var margin: Int?

    @Option(help: "Crop or pad to this shape about the centre, such as 160,160,160.")
    var shape: Shape?

    @Option(help: "Rows and columns of a slice are padded to a multiple of this number. (default: 1)")
    var multiple: Int?

    @Option(help: "The plane of the slices. (default: axial)")
    var plane: SlicePlane?

    /// Whether no option is given.
    var isEmpty: Bool {
        preset == nil && onto == nil && orientation == nil && spacing == nil && interpolation == nil
            && antialiasing == nil && margin == nil && shape == nil && multiple == nil && plane == nil
    }

    func validate() throws {
        if let spacing { try require(spacing > 0 && spacing.isFinite, "--spacing must be above zero") }
        if let multiple {
            try require((1...4096).contains(multiple), "--multiple must be from 1 to 4096, but is \(multiple)")
        }
        if let margin {
            try require((0...4096).contains(margin), "--margin must be from 0 to 4096, but is \(margin)")
        }
        if onto != nil {
            let others: [Any?] = [preset, orientation, spacing, margin, shape, multiple, plane]
            try require(
                others.allSatisfy { $0 == nil },
                "--onto states the whole grid; only --interpolation and --antialiasing go with it")
        }
    }

    /// The steps.
    func pipeline(onto grid: VoxelGrid?, intensities: RescaleIntensity) -> PreprocessingPipeline {
        if let grid {
            return PreprocessingPipeline([
                intensities,
                ResampleOnto(
                    grid, interpolation: interpolation ?? .linear, antialiasing: antialiasing ?? .gaussian),
            ])
        }
        var steps: [any VolumeTransform] = []
        for step in (preset ?? .brain).pipeline(intensities).transforms {
            switch step {
            case var step as Reorient:
                step.orientation = orientation ?? step.orientation
                steps.append(step)
            case var step as Resample:
                step.spacing = spacing ?? step.spacing
                step.interpolation = interpolation ?? step.interpolation
                step.antialiasing = antialiasing ?? step.antialiasing
                steps.append(step)
            case var step as CropToForeground:
                step.margin = margin ?? step.margin
                steps.append(step)
                if let shape { steps.append(CropOrPad(to: shape.extents, fill: 0)) }
            case is CropOrPad where shape != nil: break
            default: steps.append(step)
            }
        }
        if let multiple { steps.append(PadToMultiple(of: multiple, plane: plane ?? .axial, fill: 0)) }
        return PreprocessingPipeline(steps)
    }
}

/// Numbers of voxels along the axes, written `160,160,160`.
struct Shape: ExpressibleByArgument {
    let extents: SIMD3<Int>

    init?(argument: String) {
        let numbers = argument.split(separator: ",", omittingEmptySubsequences: false).compactMap { Int($0) }
        guard numbers.count == 3, numbers.allSatisfy({ (1...4096).contains($0) }) else { return nil }
        extents = SIMD3(numbers[0], numbers[1], numbers[2])
        guard extents.x * extents.y * extents.z <= 1 << 30 else { return nil }
    }
}

extension Orientation: ExpressibleByArgument {
    /// Three letters.
    public init?(argument: String) { self.init(code: argument) }
}

extension Interpolation: ExpressibleByArgument {}

extension Antialiasing: ExpressibleByArgument {}
