import Foundation
import Preprocessing
import TestSupport
import Testing

/// Descriptions of pipelines in JSON.
struct PipelineDescriptionTests {
    private func text(_ pipeline: PreprocessingPipeline) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return String(decoding: try encoder.encode(pipeline), as: UTF8.self)
    }

    /// One of each step.
    private let all = PreprocessingPipeline([
        Reorient(to: Orientation(code: "PIR")!), Resample(spacing: 1.5, interpolation: .cubic),
        ResampleOnto(
            VoxelGrid(shape: [9, 8, 7], affine: Affine(spacing: [1, 2, 3], translation: [-4, 5, 0.25])),
            interpolation: .nearest, antialiasing: .none),
        CropToForeground(threshold: 0.25, margin: 2), CropToForeground(above: -3),
        CropToBox(from: [-1, 0, 2], shape: [4, 5, 6]), CropOrPad(to: [16, 16, 16], fill: 0),
        CropOrPad(to: [8, 8, 8]),
        PadToMultiple(of: 8, plane: .coronal), PadToMultiple(of: 4, plane: nil), RescaleIntensity(),
    ])

    @Test func everyStepReadsBack() throws {
        let first = try text(all)
        let decoded = try JSONDecoder().decode(PreprocessingPipeline.self, from: Data(first.utf8))
        #expect(try text(decoded) == first)
        #expect(decoded.transforms.map { "\($0)" } == all.transforms.map { "\($0)" })
    }

    @Test func aFileHasAStepALine() throws {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "steps.json")
            try PreprocessingPipeline.brain().write(to: file)
            #expect(
                try String(contentsOf: file, encoding: .utf8) == """
                    {
                      "steps": [
                        {"background":"border","kind":"rescale_intensity","rule":"percentiles:0.1,99.9"},
                        {"kind":"reorient","to":"RAS"},
                        {"antialiasing":"gaussian","interpolation":"linear","kind":"resample","spacing":1},
                        {"kind":"crop_to_foreground","margin":0,"threshold":0.001}
                      ]
                    }

                    """)
            try all.write(to: file.path)
            #expect(try text(PreprocessingPipeline(contentsOf: file.path)) == text(all))
        }
    }

    @Test func aPipelineThatWasFittedKeepsItsGridAndBox() throws {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "steps.json")
            var generator = SeededGenerator(seed: 3)
            var volume = Volume(grid: VoxelGrid(shape: [9, 10, 11], spacing: [1.1, 1, 0.9]))
            volume[2, 3, 4] = 1
            volume[6, 8, 5] = 2
            let fitted = try PreprocessingPipeline.brain().apply(to: volume).pipeline
            try fitted.write(to: file)
            let read = try PreprocessingPipeline(contentsOf: file)
            #expect(read.grid == volume.grid)
            #expect(try text(read) == text(fitted))
            let partner = Volume(grid: volume.grid, voxels: generator.floats(volume.grid.count))
            #expect(try read.apply(to: partner).volume == fitted.apply(to: partner).volume)
        }
    }

    @Test func descriptionsWithoutAntialiasingHaveNone() throws {
        let old = #"{"steps": [{"kind": "resample", "spacing": 2}, {"kind": "crop_to_foreground"}]}"#
        let pipeline = try JSONDecoder().decode(PreprocessingPipeline.self, from: Data(old.utf8))
        let resample = try #require(pipeline.transforms[0] as? Resample)
        #expect(resample.antialiasing == .none && resample.interpolation == .linear && resample.spacing == 2)
        #expect(Resample(spacing: 2).antialiasing == .gaussian)
    }

    @Test(arguments: [
        (
            #"{"steps": [{"kind": "resample", "spacing": 0}]}"#,
            "steps[0].spacing: found 0.0; expected millimetres"
        ),
        (#"{"steps": [{"kind": "resample"}]}"#, "steps[0].spacing: found no such field; expected a number"),
        (
            #"{"steps": [{"kind": "shear"}]}"#,
            "steps[0].kind: found \"shear\"; expected one of reorient, resample,"
        ),
        (
            #"{"steps": [{"kind": "reorient", "to": "RAX"}]}"#,
            "steps[0].to: found 'RAX', which is not an orientation"
        ),
        (
            #"{"steps": [{"kind": "crop_or_pad", "shape": [0, 4, 4]}]}"#,
            "steps[0].shape: found 0 x 4 x 4; expected at least one voxel"
        ),
        (#"{"steps": [{"kind": "crop_or_pad", "shape": [4, 4]}]}"#, "steps[0].shape"),
        (
            #"{"steps": [{"kind": "pad_to_multiple", "multiple": 0}]}"#,
            "steps[0].multiple: found 0; expected 1 to 4096"
        ),
        (
            #"{"steps": [{"kind": "resample", "spacing": 1, "antialias": true}]}"#,
            "steps[0].antialias: found an unknown field; expected one of antialiasing, interpolation, kind, spacing"
        ),
        (
            #"{"steps": [{"kind": "crop_to_foreground", "above": 0, "threshold": 0}]}"#,
            "steps[0]: found both 'threshold' and 'above'; expected one of them"
        ),
        (
            #"{"steps": [], "grid": {"shape": [4, 4, 4], "affine": [[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]}}"#,
            "grid.affine: found an affine that is not invertible"
        ),
    ])
    func errorsNameTheField(json: String, message: String) throws {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "steps.json")
            try Data(json.utf8).write(to: file)
            let error = #expect(throws: PipelineFileError.self) { try PreprocessingPipeline(contentsOf: file) }
            #expect(
                error.map { "\($0)".hasPrefix("\(file.path): \(message)") } == true,
                "\(error?.description ?? "")")
            #expect(error?.localizedDescription == error?.description)
        }
    }

    /// A step of a user's own.
    private struct Scale: StorableTransform {
        static let kind = "scale"
        var factor: Float

        func apply(to volume: Volume) -> TransformedVolume {
            let factor = factor
            return TransformedVolume(
                volume: volume.map { $0 * factor }, inverse: .intensity { $0.map { $0 / factor } })
        }
    }

    /// A step that no file can hold.
    private struct Secret: VolumeTransform {
        func apply(to volume: Volume) -> TransformedVolume {
            TransformedVolume(volume: volume, inverse: .geometry { $0 })
        }
    }

    @Test func stepsOfOnesOwn() throws {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "steps.json")
            try PreprocessingPipeline([Reorient(), Scale(factor: 3)]).write(to: file)
            let read = try PreprocessingPipeline(contentsOf: file, steps: [Scale.self])
            #expect((read.transforms.last as? Scale)?.factor == 3)
            #expect(throws: PipelineFileError.self) { try PreprocessingPipeline(contentsOf: file) }
            let decoder = JSONDecoder()
            decoder.userInfo[.preprocessingSteps] = [Scale.self] as [any StorableTransform.Type]
            let decoded = try decoder.decode(PreprocessingPipeline.self, from: Data(contentsOf: file))
            #expect((decoded.transforms.last as? Scale)?.factor == 3)
            #expect(throws: PreprocessingError.self) { try PreprocessingPipeline([Secret()]).write(to: file) }
        }
    }
}
