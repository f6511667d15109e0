import ArgumentParser
import Foundation
import Preprocessing
import VolumeIO
import VolumePhantoms

/// The synthetic subjects of the comparison: deformations of one brain with lesions, in T1, T2, FLAIR and proton density.
struct Subjects {
    /// How many there are for training, then for validation, then for test.
    static let counts = (train: 24, validation: 2, test: 6)
    static let contrasts = [PhantomContrast.t1, .t2, .flair, .pd]
    static let targets = [PhantomContrast.t2, .flair, .pd]

    /// The grid of the images: 3 mm.
    static let grid = cube(of: 3)

    private let cohort: PhantomCohort

    /// - Parameter anatomy: the T1 image of a brain, the same for all subjects.
    init(anatomy: String) throws {
        var acquisition = PhantomAcquisition()
        acquisition.lesions = 0...12
        acquisition.relaxationVariation = 0.02
        acquisition.t2 = Self.protocol(acquisition.t2)
        acquisition.flair = Self.protocol(acquisition.flair)
        acquisition.protonDensity = Self.protocol(acquisition.protonDensity)
        // Finer than the images, as a body is.
        let simulated = Self.cube(of: 1.5)
        cohort = PhantomCohort(
            seed: 15, shape: simulated.shape, spacing: simulated.spacing.x,
            anatomy: try PhantomAnatomy(t1: Volume(contentsOf: anatomy)), acquisition: acquisition)
    }

    /// A grid of 192 x 216 x 192 mm around the origin.
    private static func cube(of spacing: Double) -> VoxelGrid {
        let size = SIMD3(192.0, 216, 192)
        let voxels = size / spacing
        return VoxelGrid(
            shape: SIMD3(Int(voxels.x), Int(voxels.y), Int(voxels.z)),
            affine: Affine(spacing: SIMD3(repeating: spacing), translation: (spacing - size) / 2))
    }

    /// The same times for all subjects, those in the middle, as at one scanner, and what bias field a correction leaves.
    private static func `protocol`(_ sequence: PhantomSequence) -> PhantomSequence {
        func middle(_ range: ClosedRange<Double>) -> ClosedRange<Double> {
            let middle = (range.lowerBound + range.upperBound) / 2
            return middle...middle
        }
        var fixed = sequence
        fixed.repetitionTime = middle(sequence.repetitionTime)
        fixed.echoTime = middle(sequence.echoTime)
        fixed.inversion = sequence.inversion.map(middle)
        fixed.bias = 0.02...0.06
        return fixed
    }

    /// A subject's images, and the mask of the brain. Intensities are in [0, 1], in 255 steps: 0 outside the brain, at
    /// least 1/255 in it, and 1 where the image is ``brightest(_:)`` times its median inside the brain or more.
    ///
    /// - Parameter number: from 1.
    func images(of number: Int) -> (volumes: [PhantomContrast: Volume], mask: Volume) {
        let images = cohort.images(of: number - 1, in: Self.contrasts)
        // Acquired with voxels of 4 mm, and interpolated to 3 mm, as scanners do.
        func acquired(_ volume: Volume) -> Volume {
            volume.resampled(onto: Self.cube(of: 4)).resampled(onto: Self.grid, interpolation: .cubic)
        }
        let mask = images.mask.resampled(onto: Self.grid).map { $0 >= 0.5 ? 1 : 0 }
        let volumes = images.volumes.map { contrast, image in
            let image = acquired(image)
            let brain = zip(image.voxels, mask.voxels).filter { $1 > 0 }.map(\.0).sorted()
            let unit = brain[brain.count / 2] * Self.brightest(contrast) / 255
            let voxels = zip(image.voxels, mask.voxels).map { value, mask in
                mask > 0 ? min(max((value / unit).rounded(), 1), 255) / 255 : 0
            }
            return (contrast, Volume(grid: Self.grid, voxels: voxels))
        }
        return (Dictionary(uniqueKeysWithValues: volumes), mask)
    }

    /// What is 1 in an image: an intensity relative to the median inside the brain that every subject has in this contrast.
    /// The model's preparation scales each image by its maximum, which thus means the same in all subjects.
    private static func brightest(_ contrast: PhantomContrast) -> Float {
        switch contrast {
        case .t2: 2.3
        case .flair: 1.2
        case .pd: 1.1
        default: 1.5
        }
    }
}

/// Writes all subjects, a table for training with several modalities, and one of pairs.
struct SubjectsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "subjects",
        abstract: "Synthesise the subjects and write their tables, manifest.csv and t1-t2.csv.")

    @Argument(help: "The folder to write to; it is created if necessary.")
    var folder: String

    @Option(help: "The brain from which subjects are deformed (.nii or .nii.gz).")
    var anatomy = "/usr/share/mricron/templates/ch2bet.nii.gz"

    func run() throws {
        let folder = URL(filePath: folder, directoryHint: .isDirectory)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let subjects = try Subjects(anatomy: anatomy)
        let counts = Subjects.counts
        let splits =
            [String](repeating: "train", count: counts.train)
            + [String](repeating: "validation", count: counts.validation)
            + [String](repeating: "test", count: counts.test)
        var all = ["subject,split," + Subjects.contrasts.map(\.rawValue).joined(separator: ",") + ",mask"]
        var pairs = ["subject,split,source,target,mask"]
        for (index, split) in splits.enumerated() {
            let name = String(format: "sub-%02d", index + 1)
            func file(_ part: String) -> String { "\(name)_\(part).nii.gz" }
            let (volumes, mask) = subjects.images(of: index + 1)
            for (contrast, volume) in volumes {
                try volume.write(to: folder.appending(path: file(contrast.rawValue)), as: .uint8)
            }
            try mask.write(to: folder.appending(path: file("mask")), as: .uint8)
            all.append(
                ([name, split] + Subjects.contrasts.map { file($0.rawValue) } + [file("mask")])
                    .joined(separator: ","))
            pairs.append([name, split, file("t1"), file("t2"), file("mask")].joined(separator: ","))
            print("\(name), \(split)")
        }
        for (name, lines) in [("manifest.csv", all), ("t1-t2.csv", pairs)] {
            try Data((lines.joined(separator: "\n") + "\n").utf8)
                .write(to: folder.appending(path: name), options: .atomic)
        }
    }
}
