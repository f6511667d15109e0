import ArgumentParser
import Foundation
import VolumeIO
import VolumePhantoms

/// The synthetic subjects of the comparison: deformations of one brain with lesions, in T1, T2, FLAIR and proton density.
struct Subjects {
    /// How many there are for training, then for validation, then for test.
    static let counts = (train: 24, validation: 2, test: 6)
    static let contrasts = [PhantomContrast.t1, .t2, .flair, .pd]
    static let targets = [PhantomContrast.t2, .flair, .pd]

    private let cohort: PhantomCohort

    /// - Parameter anatomy: the T1 image of a brain, the same for all subjects.
    init(anatomy: String) throws {
        var acquisition = PhantomAcquisition()
        acquisition.lesions = 0...12
        cohort = PhantomCohort(
            seed: 15, shape: [64, 72, 64], spacing: 3,
            anatomy: try PhantomAnatomy(t1: Volume(contentsOf: anatomy)),
            acquisition: acquisition)
    }

    /// A subject's images, and the mask of the brain. Intensities are in [0, 1]: 0 outside the brain, at least 1/255 in it,
    /// and 1 from the 99.5th percentile on, in 255 steps.
    ///
    /// - Parameter number: from 1.
    func images(of number: Int) -> (volumes: [PhantomContrast: Volume], mask: Volume) {
        let images = cohort.images(of: number - 1, in: Self.contrasts)
        let volumes = images.volumes.mapValues { image in
            let brain = zip(image.voxels, images.mask.voxels).filter { $1 > 0 }.map(\.0).sorted()
            let high = brain[(brain.count - 1) * 995 / 1000]
            return Volume(
                grid: image.grid,
                voxels: zip(image.voxels, images.mask.voxels).map { value, mask in
                    mask > 0 ? min(max((255 * value / high).rounded(), 1), 255) / 255 : 0
                })
        }
        return (volumes, images.mask)
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
