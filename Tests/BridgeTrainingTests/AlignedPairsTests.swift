import BridgeTraining
import Foundation
import TestSupport
import Testing
import VolumeIO
import VolumeRegistration

/// Pairs that are aligned before they are trained on.
struct AlignedPairsTests {
    private let source = Volume.brainPhantom(on: VoxelGrid(shape: [40, 46, 36], spacing: [2, 2, 2]))
    private let motion = RigidTransform(degrees: [7, -5, 4], millimetres: [6, -8, 5])

    private var configuration: TrainingConfiguration {
        var configuration = TrainingConfiguration()
        configuration.data.spacing = 2
        configuration.data.align = true
        return configuration
    }

    /// A folder with a source, its target in place, the same target on another grid and moved, and a table.
    private func withPair(target: String, mask: String = "", _ body: (URL) throws -> Void) throws {
        try withTemporaryFolder { folder in
            func write(_ volume: Volume, _ name: String) throws {
                try volume.write(to: folder.appending(path: name))
            }
            try write(source, "ct.nii")
            try write(source.map { $0 > 0 ? 140 - $0 : 0 }, "t1.nii")
            let other = VoxelGrid(
                shape: [60, 62, 40], affine: Affine(spacing: [1.6, 1.6, 2.2], translation: [-9, -5, -9]))
            let elsewhere = source.map { $0 > 0 ? 140 - $0 : 0 }.resampled(onto: other, by: .identity)
            try write(elsewhere.moved(by: motion), "moved.nii")
            var random = SeededGenerator(seed: 3)
            try write(Volume.random(shape: [40, 46, 36], spacing: [2, 2, 2], using: &random), "noise.nii")
            try write(source.map { $0 > 75 ? 1 : 0 }, "mask.nii")
            try Data("subject,split,source,target,mask\nanna,train,ct.nii,\(target),\(mask)\n".utf8)
                .write(to: folder.appending(path: "pairs.csv"))
            try body(folder)
        }
    }

    private func prepare(_ folder: URL, _ configuration: TrainingConfiguration) throws -> ManifestDataset {
        try ManifestDataset.prepare(
            Manifest(
                contentsOf: folder.appending(path: "pairs.csv"), requiresOneGrid: !configuration.data.align),
            cache: folder.appending(path: "cache"), configuration: configuration
        ).training
    }

    @Test(arguments: ["", "mask.nii"]) func aMovedTargetIsTrainedOnLikeOneInPlace(mask: String) throws {
        var unaligned = configuration
        unaligned.data.align = false
        try withPair(target: "t1.nii", mask: mask) { inPlace in
            try withPair(target: "moved.nii", mask: mask) { folder in
                let expected = try prepare(inPlace, unaligned)
                let data = try prepare(folder, configuration)
                #expect(data.rows == expected.rows && data.columns == expected.columns)
                #expect(abs(data.count - expected.count) <= 2)
                let (a, b) = (
                    try data.example(at: data.count / 2), try expected.example(at: expected.count / 2)
                )
                #expect(a.source == b.source)
                let gap = zip(a.target, b.target).reduce(0) { $0 + abs($1.0 - $1.1) } / Float(a.target.count)
                #expect(gap < 0.13, "\(gap)")
                let distance = try a.style.distance(to: b.style)
                #expect(distance < 0.25, "\(distance)")

                // It was prepared with the alignment, and is again without a change.
                #expect(try prepare(folder, configuration).fingerprint == data.fingerprint)
            }
        }
    }

    @Test func withoutAlignmentGridsMustAgree() throws {
        try withPair(target: "moved.nii") { folder in
            var unaligned = configuration
            unaligned.data.align = false
            let error = #expect(throws: ManifestError.self) { try prepare(folder, unaligned) }
            #expect(
                error?.description.contains("or align the pairs (--align)") == true,
                "\(String(describing: error))")
            // A table that was read for alignment, and a configuration without.
            let mixed = #expect(throws: ManifestError.self) {
                try ManifestDataset.prepare(
                    Manifest(contentsOf: folder.appending(path: "pairs.csv"), requiresOneGrid: false),
                    cache: folder.appending(path: "cache"), configuration: unaligned)
            }
            #expect(mixed?.description.contains("data.align") == true)
        }
    }

    @Test func aDoubtfulAlignmentIsAProblemOfItsLine() throws {
        try withPair(target: "noise.nii") { folder in
            let error = #expect(throws: ManifestError.self) { try prepare(folder, configuration) }
            let problem = try #require(error?.problems.first)
            #expect(problem.line == 2 && problem.text.contains("noise.nii: its alignment with"), "\(problem)")
            #expect(problem.text.contains("doubtful"))
        }
    }
}
