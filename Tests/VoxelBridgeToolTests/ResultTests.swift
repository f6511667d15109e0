import Foundation
import TensorFiles
import TestSupport
import Testing
import VoxelBridge

/// The results of the commands other than `translate` and `predict`.
struct ResultTests {
    private let phantom = Volume.brainPhantom(on: VoxelGrid(shape: [18, 20, 14], spacing: [3.5, 4, 4]))

    private func withVolumes(_ body: (URL) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            try phantom.write(to: folder.appending(path: "a.nii.gz"), text: "a phantom")
            try phantom.map { $0 * $0 }.write(to: folder.appending(path: "b.nii"))
            try await body(folder)
        }
    }

    private func decode<Value: Decodable>(_ type: Value.Type, _ output: String) throws -> Value {
        try JSONDecoder().decode(type, from: Data(output.utf8))
    }

    // MARK: key

    @Test(
        .enabled(if: Fixtures.hasReference && Fixtures.hasData, Fixtures.missingReference),
        arguments: [128, 32])
    func aKeyIsThatOfNumPy(bins: Int) async throws {
        let volume = Fixtures.data("colin27_t1_2mm.nii.gz").path
        let outcome = try await Tool.succeed("key", volume, "--bins", "\(bins)", "--intensities", "min-max")
        #expect(outcome.messages.isEmpty)
        let key = try decode(StyleKey.self, outcome.output)
        let expected = try Safetensors(contentsOf: Fixtures.reference("style_key_colin27.safetensors"))
            .tensor("key_\(bins)")
        #expect(relativeL2(key.tokens, expected.values) < 1e-6)
    }

    @Test func aKeyOfSeveralIsTheirMean() async throws {
        try await withVolumes { folder in
            let (a, b) = (folder.appending(path: "a.nii.gz"), folder.appending(path: "b.nii"))
            let file = folder.appending(path: "key.json")
            let outcome = try await Tool.succeed(
                "key", a.path, b.path, "--bins", "16", "--output", file.path)
            #expect(outcome.output.isEmpty)
            #expect(outcome.messages == "Wrote \(file.path)\n")
            let keys = try [a, b].map {
                let volume = try Volume(contentsOf: $0)
                return try StyleKey(
                    of: volume, bins: 16, resampling: Resample(spacing: volume.grid.spacing.min()))
            }
            #expect(try StyleKey(contentsOf: file) == StyleKey(averaging: keys))
        }
    }

    // MARK: evaluate

    private struct Evaluation: Decodable {
        let voxels, leftOut: Int
        let warnings: [String]
        let metrics: MetricReport
    }

    @Test(.enabled(if: Fixtures.hasReference, Fixtures.missingReference))
    func metricsAreThoseOfScikitImage() async throws {
        let expected = try decode(
            [String: Double].self, String(contentsOf: Fixtures.reference("metrics.json"), encoding: .utf8))
        let files = ["metrics_prediction.nii.gz", "metrics_reference.nii.gz"].map {
            Fixtures.reference($0).path
        }
        let json = try await Tool.succeed("evaluate", files[0], files[1], "--data-range", "1", "--json")
        let found = try decode(Evaluation.self, json.output).metrics
        let names = [
            ("nrmse_euclidean", "nrmse_euclidean"), ("nrmse_min-max", "nrmse_min-max"),
            ("nrmse_mean", "nrmse_mean"), ("nrmse_prediction_range", "nrmse_prediction_range"),
            ("nmse", "nmse"), ("mae", "mae"), ("psnr_range1", "psnr"), ("ssim_range1", "ssim_uniform7"),
            ("ssim_axial_range1", "ssim_slices_uniform7"),
        ]
        for (name, reference) in names {
            let (value, correct) = (try #require(found[name], "\(found)"), try #require(expected[reference]))
            #expect(abs(value - correct) < 1e-6 * abs(correct), "\(name)")
        }
        let smaller = try await Tool.succeed(
            "evaluate", files[0], files[1], "--data-range", "1", "--window", "5", "--json")
        let ssim = try #require(try decode(Evaluation.self, smaller.output).metrics["ssim_uniform5_range1"])
        #expect(abs(ssim - expected["ssim_uniform5"]!) < 1e-6)
        // Without --json the same, a line each.
        let text = try await Tool.succeed("evaluate", files[0], files[1], "--data-range", "1")
        let lines = text.output.split(separator: "\n").map { $0.split(separator: " ") }
        #expect(lines.map { String($0[0]) } == found.map(\.name))
        for line in lines {
            guard let exact = found[String(line[0])] else { continue }
            #expect(abs(try #require(Double(line[1])) - exact) <= 1e-5 * abs(exact))
        }
    }

    @Test func aMaskAndTheDataRangeCount() async throws {
        try await withVolumes { folder in
            func path(_ name: String) -> String { folder.appending(path: name).path }
            func metrics(_ options: String...) async throws -> MetricReport {
                let arguments = ["evaluate", path("a.nii.gz"), path("wrong.nii"), "--json"] + options
                let outcome = try await Tool.run(arguments)
                try #require(outcome.status == 0, "\(outcome.messages)")
                return try decode(Evaluation.self, outcome.output).metrics
            }
            // Wrong by 10 in the lower half, and the mask is the upper one.
            var (wrong, mask) = (phantom, Volume(grid: phantom.grid))
            let half = phantom.grid.count / 2
            for index in phantom.voxels.indices {
                if index < half { wrong.voxels[index] += 10 } else { mask.voxels[index] = 1 }
            }
            try wrong.write(to: folder.appending(path: "wrong.nii"))
            try mask.write(to: folder.appending(path: "mask.nii"))
            let plain = try await metrics("--data-range", "100")
            #expect(abs(plain["mae"]! - 5) < 1e-5)
            // The mean squared error is 50: 20 log10(100) - 10 log10(50).
            #expect(abs(plain["psnr_range100"]! - 23.0103) < 1e-4)
            #expect(try await metrics("--mask", path("mask.nii"))["mae"] == 0)
            #expect(try await metrics("--plane", "coronal")["slice_difference_coronal"] != nil)
        }
    }

    @Test func equalVolumesAreTheBestThereIs() async throws {
        try await withVolumes { folder in
            let a = folder.appending(path: "a.nii.gz").path
            let text = try await Tool.succeed("evaluate", a, a)
            #expect(text.output.contains("psnr") && text.output.contains("inf"))
            let json = try await Tool.succeed("evaluate", a, a, "--json")
            #expect(json.output.contains("\"value\" : \"Infinity\""))
        }
    }

    @Test func aMetricWithoutAValueSaysWhy() async throws {
        try await withVolumes { folder in
            let thin = folder.appending(path: "thin.nii").path
            try Volume(grid: VoxelGrid(shape: [9, 9, 5]), repeating: 2).write(to: thin)
            let text = try await Tool.succeed("evaluate", thin, thin).output
            #expect(text.contains("psnr ") && text.contains("- (psnr is undefined: it divides by"))
            #expect(text.contains("mae") && text.contains("nrmse_mean "))
            let csv = try await Tool.succeed("evaluate", thin, thin, "--csv").output
            #expect(csv.hasPrefix("subject,method,metric,value,reason\n") && csv.contains(",mae,0.0,\n"))
            #expect(
                try await Tool.succeed("evaluate", thin, thin, "--json").output.contains("\"value\" : null"))
        }
    }

    @Test func aReportHasItsVolumesBesideIt() async throws {
        try await withVolumes { folder in
            let (a, b) = (folder.appending(path: "a.nii.gz").path, folder.appending(path: "b.nii").path)
            let report = folder.appending(path: "report")
            try await Tool.succeed("evaluate", b, a, "--match", "range", "--source", a, "--report", report.path)
            #expect(
                try report.files
                    == ["index.html", "metrics.csv", "prediction.nii.gz", "reference.nii.gz", "source.nii.gz"])
            #expect(try Volume(contentsOf: report.appending(path: "reference.nii.gz")).voxels == phantom.voxels)
            let page = try String(contentsOf: report.appending(path: "index.html"), encoding: .utf8)
            for text in ["stripe_energy_axial", "evaluate", "--match range", "volume2"] {
                #expect(page.contains(text), "\(text)")
            }
        }
    }

    @Test func differentUnitsAreNamedAndBroughtTogether() async throws {
        try await withVolumes { folder in
            let (a, scaled) = (folder.appending(path: "a.nii.gz").path, folder.appending(path: "s.nii").path)
            try phantom.map { $0 / 400 }.write(to: scaled)
            let plain = try await Tool.succeed("evaluate", scaled, a)
            #expect(
                plain.messages.contains("as in different units") && plain.messages.contains("--match range"))
            for match in ["range", "scale", "key"] {
                let outcome = try await Tool.succeed("evaluate", scaled, a, "--match", match, "--json")
                #expect(outcome.messages.isEmpty)
                #expect(try decode(Evaluation.self, outcome.output).metrics["psnr"]! > 50, "\(match)")
            }
        }
    }

    @Test func nanIsLeftOutAndCounted() async throws {
        try await withVolumes { folder in
            // The writer stores NaN as it is.
            var holed = phantom
            holed.voxels[1000] = .nan
            let file = folder.appending(path: "holed.nii").path
            try holed.write(to: file)
            let outcome = try await Tool.succeed(
                "evaluate", file, folder.appending(path: "a.nii.gz").path, "--json")
            #expect(outcome.messages.contains("1 voxels are NaN"))
            let evaluation = try decode(Evaluation.self, outcome.output)
            #expect(evaluation.leftOut == 1 && evaluation.voxels == phantom.grid.count - 1)
            #expect(evaluation.metrics["mae"] == 0 && evaluation.warnings.count == 1)
        }
    }

    @Test func placesAreCompared() async throws {
        try await withVolumes { folder in
            let a = folder.appending(path: "a.nii.gz").path
            func write(_ volume: Volume, _ name: String) throws -> String {
                try volume.write(to: folder.appending(path: name))
                return folder.appending(path: name).path
            }
            let flipped = try write(
                phantom.permuted(AxisPermutation(sources: [2, 0, 1], isReversed: [true, false, true])),
                "flipped.nii")
            let same = try await Tool.succeed("evaluate", flipped, a, "--mask", flipped, "--json")
            #expect(same.messages.isEmpty)
            #expect(try decode(Evaluation.self, same.output).metrics["mae"] == 0)

            var affine = phantom.grid.affine
            affine.translation.x += 5
            let moved = try write(
                Volume(grid: VoxelGrid(shape: phantom.shape, affine: affine), voxels: phantom.voxels),
                "moved.nii")
            for arguments in [[moved, a], [a, a, "--mask", moved]] {
                let refused = try await Tool.run(["evaluate"] + arguments)
                #expect(
                    refused.status == 1 && refused.messages.contains("moved.nii is not on the reference's grid")
                )
                let compared = try await Tool.run(["evaluate"] + arguments + ["--voxelwise"])
                #expect(compared.status == 0 && compared.messages.contains("Warning:"))
            }
        }
    }

    @Test func aCohortIsSummarisedAndCompared() async throws {
        try await withVolumes { folder in
            var generator = SeededGenerator(seed: 9)
            var table = "subject,method,prediction,reference\n"
            for subject in 0..<6 {
                try phantom.map { $0 * (1 + Float(subject) / 20) }.write(
                    to: folder.appending(path: "r\(subject).nii"))
                for (method, noise) in [("good", Float(1)), ("bad", 5)] {
                    let values = generator.floats(phantom.grid.count, in: -noise...noise)
                    var volume = try Volume(contentsOf: folder.appending(path: "r\(subject).nii"))
                    for index in values.indices { volume.voxels[index] += values[index] }
                    try volume.write(to: folder.appending(path: "\(method)\(subject).nii"))
                    table += "s\(subject),\(method),\(method)\(subject).nii,r\(subject).nii\n"
                }
            }
            let file = folder.appending(path: "pairs.csv")
            try Data(table.utf8).write(to: file)
            let output = folder.appending(path: "out")
            let report = folder.appending(path: "report")
            let outcome = try await Tool.succeed(
                "evaluate", "--pairs", file.path, "--output", output.path, "--report", report.path)
            #expect(try report.files == ["index.html", "subjects"])
            #expect(try report.appending(path: "subjects").files.count == 12)
            #expect(outcome.output.contains("good") && outcome.output.contains("psnr"))
            #expect(try output.files == ["comparisons.csv", "evaluation.json", "metrics.csv", "summary.csv"])
            let comparisons = try String(contentsOf: output.appending(path: "comparisons.csv"), encoding: .utf8)
            // All six are better: the least p that six signs can have.
            #expect(comparisons.contains("psnr,good,bad,6,") && comparisons.contains(",1.0,0.03125,"))
            let first = try Data(contentsOf: output.appending(path: "evaluation.json"))
            try await Tool.succeed(
                "evaluate", "--pairs", file.path, "--output", output.path, "--threads", "1")
            #expect(try Data(contentsOf: output.appending(path: "evaluation.json")) == first)

            try Data((table + "s9,bad,missing.nii,r1.nii\ns0,good,good0.nii,r0.nii\n").utf8).write(to: file)
            let partial = try await Tool.run("evaluate", "--pairs", file.path, "--output", output.path)
            #expect(partial.status == 1 && partial.messages.contains("missing.nii"))
            #expect(partial.messages.contains("2 of 14 pairs could not be evaluated"))
            let metrics = try String(contentsOf: output.appending(path: "metrics.csv"), encoding: .utf8)
            #expect(metrics.contains("s9,bad,,,") && metrics.contains("s0, good appears twice"))
        }
    }

    // MARK: info

    private struct Facts: Decodable {
        let format: String
        let shape: [Int]
        let spacing: [Double]
        let orientation: String
        let affine: [[Double]]
        let dataType: String
        let description: String
        let intensities: Intensities?
        let warnings: [String]

        struct Intensities: Decodable {
            let minimum: Float
            let maximum: Float
            let notFinite: Int
        }
    }

    @Test func infoTellsWhatIsInAFile() async throws {
        try await withVolumes { folder in
            let a = folder.appending(path: "a.nii.gz").path
            let outcome = try await Tool.succeed("info", a, "--json")
            #expect(outcome.messages.isEmpty)
            let facts = try decode(Facts.self, outcome.output)
            #expect(facts.format == "NIfTI-1" && facts.shape == [18, 20, 14] && facts.orientation == "RAS")
            #expect(facts.spacing == [3.5, 4, 4] && facts.description == "a phantom")
            #expect(facts.affine == [[3.5, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0], [0, 0, 0, 1]])
            #expect(facts.intensities?.maximum == phantom.intensityRange.upperBound)
            #expect(facts.intensities?.notFinite == 0 && facts.warnings.isEmpty)
            let text = try await Tool.succeed("info", a).output
            for fact in ["18 x 20 x 14", "3.5, 4, 4 mm", "RAS", "NIfTI-1", "a phantom"] {
                #expect(text.contains(fact), "\(fact) is missing in:\n\(text)")
            }
        }
    }

    @Test(.enabled(if: Fixtures.hasData, Fixtures.missingData))
    func infoTellsOfASeriesToo() async throws {
        let outcome = try await Tool.succeed("info", Fixtures.data("perfusion_4d.nii.gz").path, "--json")
        let facts = try decode(Facts.self, outcome.output)
        #expect(facts.shape == [52, 68, 20, 10])
        #expect(facts.intensities?.minimum == 0 && facts.intensities?.maximum == 2640)
    }

    /// A volume of a series goes to another format, and a file without orientation stays one, with a warning.
    @Test func convertKeepsWhatTheFileSays() async throws {
        try await withVolumes { folder in
            let (series, pair) = (folder.appending(path: "series.nii.gz"), folder.appending(path: "one.hdr"))
            let volume = Volume(grid: VoxelGrid(shape: [4, 5, 6]), voxels: (0..<120).map { Float($0) })
            var writer = try VolumeSeriesWriter(to: series, grid: volume.grid, count: 2, text: "of a series")
            for factor: Float in [1, 2] { try writer.append(volume.map { $0 * factor }) }
            try writer.commit()
            let refused = try await Tool.run(["convert", series.path, pair.path])
            #expect(refused.status == 1 && refused.messages.contains("--volume"))
            _ = try await Tool.succeed(
                "convert", series.path, pair.path, "--volume", "1", "--type", "int16", "--nifti", "2")
            let file = try VolumeFile(contentsOf: pair)
            #expect(file.volume == volume.map { $0 * 2 })
            #expect(file.header.version == .nifti2 && file.header.voxelType == .int16)
            #expect(file.header.text == "of a series")

            let source = folder.appending(path: "plain.nii")
            try volume.write(to: source)
            var bytes = try Data(contentsOf: source)
            bytes.replaceSubrange(252..<256, with: [0, 0, 0, 0])
            try bytes.write(to: source)
            let outcome = try await Tool.succeed(
                "convert", source.path, folder.appending(path: "copy.nii").path)
            #expect(outcome.messages.contains("Warning: \(source.path): sform and qform have code 0"))
            let header = try NIfTIHeader(contentsOf: folder.appending(path: "copy.nii"))
            #expect(header.sformCode == 0 && header.qformCode == 0 && header.placement == .spacing)
            let facts = try decode(Facts.self, try await Tool.succeed("info", source.path, "--json").output)
            #expect(facts.warnings.count == 1 && facts.orientation == "LAS")
        }
    }

    // MARK: preprocess, montage

    @Test func preprocessWritesWhatTheModelWouldSee() async throws {
        try await withVolumes { folder in
            let output = folder.appending(path: "out.nii.gz")
            let outcome = try await Tool.succeed(
                "preprocess", folder.appending(path: "b.nii").path, output.path, "--spacing", "5", "--multiple",
                "8", "--plane", "coronal")
            #expect(outcome.output.isEmpty && outcome.messages == "Wrote \(output.path)\n")
            let expected = try PreprocessingPipeline.brain(spacing: 5)
                .appending(PadToMultiple(of: 8, plane: .coronal, fill: 0))
                .apply(to: Volume(contentsOf: folder.appending(path: "b.nii"))).volume
            let found = try Volume(contentsOf: output)
            #expect(found.voxels == expected.voxels && found.shape == expected.shape)
            #expect(found.shape.x % 8 == 0 && found.shape.z % 8 == 0)
        }
    }

    @Test func aPairAndItsLabelsArePreparedBySavedSteps() async throws {
        try await withVolumes { folder in
            func path(_ name: String) -> String { folder.appending(path: name).path }
            let labels = phantom.map { $0 > 85 ? 2 : $0 > 0 ? 1 : 0 }
            try labels.write(to: path("labels.nii"))
            try await Tool.succeed(
                "preprocess", path("a.nii.gz"), path("a_in.nii"), "--spacing", "3", "--margin", "1",
                "--interpolation", "cubic", "--save-pipeline", path("steps.json"))
            try await Tool.succeed(
                "preprocess", path("b.nii"), path("b_in.nii"), "--pipeline", path("steps.json"))
            try await Tool.succeed(
                "preprocess", path("labels.nii"), path("labels_in.nii"), "--pipeline", path("steps.json"),
                "--labels")
            let a = try Volume(contentsOf: path("a_in.nii"))
            let (b, c) = (
                try Volume(contentsOf: path("b_in.nii")), try Volume(contentsOf: path("labels_in.nii"))
            )
            #expect(a.grid.matches(b.grid) && a.grid.matches(c.grid))
            #expect(Set(c.voxels) == [0, 1, 2])
            // Cubic interpolation overshoots.
            #expect(b.intensityRange.lowerBound > -0.5 && b.intensityRange.upperBound < 1.5)
            let refused = try await Tool.run(
                "preprocess", path("a_in.nii"), path("no.nii"), "--pipeline", path("steps.json"))
            #expect(refused.status == 1 && refused.messages.contains("mm apart"), "\(refused.messages)")
        }
    }

    @Test func aVolumeGoesOntoAnothersGrid() async throws {
        try await withVolumes { folder in
            func path(_ name: String) -> String { folder.appending(path: name).path }
            let shape = try await Tool.succeed(
                "preprocess", path("a.nii.gz"), path("small.nii"), "--preset", "brats", "--spacing", "6",
                "--shape",
                "6,5,7", "--orientation", "PIR")
            #expect(shape.messages.contains("cuts off some of the foreground"), "\(shape.messages)")
            try await Tool.succeed("preprocess", path("b.nii"), path("moved.nii"), "--onto", path("small.nii"))
            let (small, moved) = (
                try Volume(contentsOf: path("small.nii")), try Volume(contentsOf: path("moved.nii"))
            )
            #expect(small.shape == [6, 5, 7] && "\(small.grid.orientation)" == "PIR")
            #expect(moved.grid == small.grid)
        }
    }

    @Test func volumesInDifferentPlacesAreRefusedUnlessAskedFor() async throws {
        try await withVolumes { folder in
            var affine = phantom.grid.affine
            affine.translation.x += 0.5
            let moved = Volume(grid: VoxelGrid(shape: phantom.shape, affine: affine), voxels: phantom.voxels)
            let file = folder.appending(path: "moved.nii").path
            try moved.write(to: file)
            let pair = [file, folder.appending(path: "a.nii.gz").path]
            let refused = try await Tool.run(["evaluate"] + pair)
            #expect(refused.status == 1)
            #expect(refused.messages.contains("they are up to 0.5 mm apart"), "\(refused.messages)")
            let outcome = try await Tool.run(["evaluate", "--voxelwise"] + pair)
            #expect(outcome.status == 0)
            #expect(outcome.messages.contains("comparing voxel by voxel"), "\(outcome.messages)")
        }
    }

    @Test func aMontageIsAnImage() async throws {
        try await withVolumes { folder in
            let image = folder.appending(path: "figure.png")
            let outcome = try await Tool.succeed(
                "montage", folder.appending(path: "a.nii.gz").path, folder.appending(path: "b.nii").path,
                "--labels", "one,two", "--convention", "neurological", "--output", image.path)
            #expect(outcome.output.isEmpty)
            #expect(try Data(contentsOf: image).starts(with: [0x89, 0x50, 0x4e, 0x47]))
        }
    }
}
