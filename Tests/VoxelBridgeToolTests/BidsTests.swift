import Foundation
import TestSupport
import Testing
import VoxelBridge

/// `voxelbridge bids` on small data sets, mostly with the model that needs no network.
struct BidsTests {
    /// A data set of three subjects, with sessions, runs, both extensions, and metadata on several levels.
    private func withDataset(_ body: (URL) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            let data = folder.appending(path: "data")
            for (index, path) in [
                "sub-01/anat/sub-01_T1w.nii.gz", "sub-02/ses-a/anat/sub-02_ses-a_acq-mprage_run-1_T1w.nii.gz",
                "sub-02/ses-a/anat/sub-02_ses-a_acq-mprage_run-2_T1w.nii", "sub-03/anat/sub-03_T1w.nii.gz",
                "sub-03/anat/sub-03_T2w.nii.gz",
            ].enumerated() {
                try write(brain(white: 90 + Double(5 * index)), to: data.appending(path: path))
            }
            try write(
                text: #"{"Name": "Brains", "BIDSVersion": "1.10.0"}"#, to: data, "dataset_description.json")
            try write(text: #"{"SkullStripped": true, "EchoTime": 0.003}"#, to: data, "T1w.json")
            try write(
                text: #"{"SkullStripped": false, "SpatialReference": "orig"}"#, to: data,
                "sub-02/ses-a/sub-02_ses-a_run-2_T1w.json")
            try write(
                text: "participant_id\tage\nsub-01\t71\nsub-02\t68\nsub-04\t80\n", to: data, "participants.tsv")
            try brain(white: 60, grey: 100).write(to: folder.appending(path: "style.nii"))
            try await body(folder)
        }
    }

    private func brain(white: Double, grey: Double = 70) -> Volume {
        Volume.brainPhantom(on: VoxelGrid(shape: [14, 16, 12], spacing: [5, 5, 5]), white: white, grey: grey)
    }

    private func write(_ volume: Volume, to url: URL) throws {
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try volume.write(to: url)
    }

    private func write(text: String, to folder: URL, _ path: String) throws {
        try Data(text.utf8).write(to: folder.appending(path: path))
    }

    private func bids(
        _ folder: URL, to output: String = "out", level: String = "participant", suffix: String = "T1w",
        _ options: String...
    ) async throws -> Tool.Outcome {
        var arguments = [
            "bids", folder.appending(path: "data").path, folder.appending(path: output).path, level,
        ]
        if level == "participant" { arguments += participant(folder, suffix: suffix) }
        return try await Tool.run(arguments + options)
    }

    private func participant(_ folder: URL, suffix: String = "T1w") -> [String] {
        [
            "--source-suffix", suffix, "--model", "histogram", "--style",
            folder.appending(path: "style.nii").path,
            "--spacing", "5",
        ]
    }

    /// The files of a data set by their paths, hidden ones too.
    private func contents(_ folder: URL) throws -> [String: Data] {
        let paths = try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter { path in
            var isFolder: ObjCBool = false
            return FileManager.default.fileExists(
                atPath: folder.appending(path: path).path, isDirectory: &isFolder) && !isFolder.boolValue
        }
        return try Dictionary(
            uniqueKeysWithValues: paths.map { ($0, try Data(contentsOf: folder.appending(path: $0))) })
    }

    private func json(_ folder: URL, _ path: String) throws -> [String: Any] {
        let data = try Data(contentsOf: folder.appending(path: path))
        return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    private static let results = [
        "sub-01/anat/sub-01_desc-fromT1w_T1w",
        "sub-02/ses-a/anat/sub-02_ses-a_acq-mprage_run-1_desc-fromT1w_T1w",
        "sub-02/ses-a/anat/sub-02_ses-a_acq-mprage_run-2_desc-fromT1w_T1w",
        "sub-03/anat/sub-03_desc-fromT1w_T1w",
    ]

    // MARK: Participants

    @Test func resultsHaveValidNamesAndSidecars() async throws {
        try await withDataset { folder in
            let outcome = try await bids(folder)
            try #require(outcome.status == 0, "\(outcome.messages)")
            let out = folder.appending(path: "out")
            let expected = Self.results.flatMap { ["\($0).nii.gz", "\($0).json"] }
            #expect(try Set(contents(out).keys) == Set(expected + ["dataset_description.json", "README.md"]))

            let description = try json(out, "dataset_description.json")
            #expect(description["DatasetType"] as? String == "derivative")
            #expect(description["DatasetLinks"] as? [String: String] == ["source": "../data"])
            let programs = try #require(description["GeneratedBy"] as? [[String: String]])
            #expect(programs.first?["Name"] == "VoxelBridge")

            // Inherited, overridden by nearer files, and only what is true of a result.
            let first = try json(out, "\(Self.results[0]).json")
            #expect(first["SkullStripped"] as? Bool == true && first["EchoTime"] == nil)
            #expect(first["Sources"] as? [String] == ["bids:source:sub-01/anat/sub-01_T1w.nii.gz"])
            let run1 = try json(out, "\(Self.results[1]).json")
            #expect(run1["SkullStripped"] as? Bool == true && run1["SpatialReference"] == nil)
            let run2 = try json(out, "\(Self.results[2]).json")
            #expect(run2["SkullStripped"] as? Bool == false && run2["SpatialReference"] as? String == "orig")

            // The same as of `translate`.
            let direct = folder.appending(path: "direct.nii.gz")
            try await Tool.succeed(
                "translate", folder.appending(path: "data/sub-01/anat/sub-01_T1w.nii.gz").path, direct.path,
                "--model",
                "histogram", "--style", folder.appending(path: "style.nii").path, "--spacing", "5")
            #expect(
                try Data(contentsOf: direct)
                    == Data(contentsOf: out.appending(path: "\(Self.results[0]).nii.gz")))
        }
    }

    @Test func volumesAreSelected() async throws {
        try await withDataset { folder in
            for (options, expected) in [
                (["--participant-label", "sub-01", "03"], [0, 3]), (["--participant_label", "02"], [1, 2]),
                (["--session-label", "a", "--entity", "run-2"], [2]), (["--entity", "acq-mprage"], [1, 2]),
            ] {
                let outcome = try await Tool.run(
                    [
                        "bids", folder.appending(path: "data").path, folder.appending(path: "out").path,
                        "participant", "--dry-run",
                    ] + participant(folder) + options)
                let lines = outcome.output.split(separator: "\n")
                #expect(lines.count == expected.count, "\(outcome.messages)")
                for (line, index) in zip(lines, expected) {
                    #expect(line.hasSuffix(" -> \(Self.results[index]).nii.gz: to do"), "\(line)")
                }
            }
            // Several suffixes; two sources of one name.
            let both = try await bids(
                folder, "--source-suffix", "T2w", "--participant-label", "03", "--dry-run")
            #expect(both.output.contains("sub-03/anat/sub-03_desc-fromT2w_T2w.nii.gz: to do"))
            let conflict = try await bids(
                folder, "--source-suffix", "T2w", "--target-suffix", "T1w", "--desc", "harmonised")
            #expect(conflict.status == 1)
            #expect(
                conflict.messages.contains(
                    "sub-03/anat/sub-03_T1w.nii.gz and sub-03/anat/sub-03_T2w.nii.gz would both become "
                        + "sub-03/anat/sub-03_desc-harmonised_T1w.nii.gz"), "\(conflict.messages)")
            #expect(conflict.messages.contains("1 volume of sub-03 could not be translated"))
            #expect(try contents(folder.appending(path: "out")).count == 3 * 2 + 2)
        }
    }

    @Test func whatIsDoneAndUnchangedIsSkipped() async throws {
        try await withDataset { folder in
            let out = folder.appending(path: "out")
            #expect(try await bids(folder).messages.contains("Translated 4, skipped 0"))
            let before = try contents(out)
            #expect(try await bids(folder).messages.contains("Translated 0, skipped 4"))
            #expect(try contents(out) == before)

            // A damaged result, a changed source, its metadata, the style.
            let result = out.appending(path: "\(Self.results[0]).nii.gz")
            try before["\(Self.results[0]).nii.gz"]!.dropLast(3).write(to: result)
            #expect(try await bids(folder, "--dry-run").output.contains("to do again (Result changed)"))
            #expect(try await bids(folder).messages.contains("Translated 1, skipped 3"))
            #expect(try contents(out) == before)
            try FileManager.default.removeItem(at: out.appending(path: "\(Self.results[3]).json"))
            #expect(try await bids(folder).messages.contains("Translated 1, skipped 3"))
            #expect(try contents(out) == before)
            try write(brain(white: 99), to: folder.appending(path: "data/sub-03/anat/sub-03_T1w.nii.gz"))
            #expect(try await bids(folder).messages.contains("Translated 1, skipped 3"))
            try write(
                text: #"{"SpatialReference": "orig"}"#, to: folder, "data/sub-01/anat/sub-01_T1w.json")
            #expect(
                try await bids(folder, "--dry-run").output.contains("to do again (SpatialReference changed)"))
            #expect(try await bids(folder).messages.contains("Translated 1, skipped 3"))
            try brain(white: 70, grey: 100).write(to: folder.appending(path: "style.nii"))
            #expect(try await bids(folder, "--dry-run").output.contains("to do again (Style changed)"))
            #expect(try await bids(folder).messages.contains("Translated 4, skipped 0"))
        }
    }

    /// Every option that decides the result, and some that do not.
    @Test func settingsThatDecideTheResultAreCompared() async throws {
        try await withDataset { folder in
            _ = try await bids(folder, "--participant-label", "01", "--steps", "5", "--mode", "ista")
            for options in [
                ["--steps", "6"], ["--mode", "independent"], ["--corrections", "2"], ["--step-size", "0.2"],
                ["--scaling", "paper"], ["--no-bound"], ["--no-clip"], ["--solver", "ddim"],
                ["--process", "diffusion"],
                ["--schedule", "sin"], ["--plane", "coronal"], ["--spacing", "4"], ["--window", "0,80"],
                ["--intensities", "min-max"], ["--background", "lowest"], ["--mask", "otsu"], ["--raw"],
                ["--skull-stripped", "--participant-label", "02"],
            ] {
                let outcome = try await Tool.run(
                    [
                        "bids", folder.appending(path: "data").path, folder.appending(path: "out").path,
                        "participant", "--dry-run", "--participant-label", "01", "--steps", "5", "--mode",
                        "ista",
                    ] + participant(folder) + options)
                #expect(outcome.output.contains("to do"), "\(options) \(outcome.output) \(outcome.messages)")
            }
            for options in [["--threads", "1"], ["--batch", "9"], ["--jobs", "2"], ["--quiet"]] {
                let outcome = try await Tool.run(
                    [
                        "bids", folder.appending(path: "data").path, folder.appending(path: "out").path,
                        "participant", "--dry-run", "--participant-label", "01", "--steps", "5", "--mode",
                        "ista",
                    ] + participant(folder) + options)
                #expect(
                    outcome.output.hasSuffix(": done\n"), "\(options) \(outcome.output) \(outcome.messages)")
            }
        }
    }

    @Test func aSubjectThatFailsIsReportedAndTheRestAreTranslated() async throws {
        try await withDataset { folder in
            let damaged = folder.appending(path: "data/sub-01/anat/sub-01_T1w.nii.gz")
            let whole = try Data(contentsOf: damaged)
            try whole.prefix(100).write(to: damaged)
            let outcome = try await bids(folder, "--jobs", "3")
            #expect(outcome.status == 1)
            #expect(outcome.messages.contains("Error: sub-01: \(damaged.path)"), "\(outcome.messages)")
            #expect(outcome.messages.contains("1 volume of sub-01 could not be translated; see above"))
            #expect(outcome.messages.contains("Translated 3, skipped 0"))
            #expect(try contents(folder.appending(path: "out")).count == 3 * 2 + 2)
            try whole.write(to: damaged)
            #expect(try await bids(folder).messages.contains("Translated 1, skipped 3"))
            _ = try await bids(folder, to: "fresh")
            #expect(
                try contents(folder.appending(path: "out")) == contents(folder.appending(path: "fresh")))
        }
    }

    /// A run that is killed within a volume continues there, and ends with the same bytes.
    @Test func aRunThatWasKilledContinues() async throws {
        try await withDataset { folder in
            let options = ["--steps", "300", "--mode", "ista", "--spacing", "2"]
            func arguments(_ output: String) -> [String] {
                [
                    "bids", folder.appending(path: "data").path, folder.appending(path: output).path,
                    "participant",
                ]
                    + participant(folder) + options + ["--participant-label", "02"]
            }
            let scratch = folder.appending(path: "out/.voxelbridge")
            let messages = folder.appending(path: "killed")
            try FileManager.default.createDirectory(at: messages, withIntermediateDirectories: false)
            let (process, ended) = try Tool.start(arguments("out"), output: messages)
            await Tool.signal(process.processIdentifier) {
                (try? FileManager.default.subpathsOfDirectory(atPath: scratch.path))?
                    .contains { $0.hasSuffix(".state") } ?? false
            }
            for await _ in ended {}
            try #require(process.terminationStatus == SIGKILL)
            let outcome = try await Tool.run(arguments("out"))
            #expect(
                outcome.status == 0 && outcome.messages.contains("Continuing after step"), "\(outcome.messages)"
            )
            #expect(try await Tool.run(arguments("fresh")).status == 0)
            #expect(try contents(folder.appending(path: "out")) == contents(folder.appending(path: "fresh")))
        }
    }

    @Test func twoProcessesMayWorkOnOneDataSet() async throws {
        try await withDataset { folder in
            let common = participant(folder) + ["--steps", "60", "--mode", "ista"]
            func arguments(_ output: String) -> [String] {
                [
                    "bids", folder.appending(path: "data").path, folder.appending(path: output).path,
                    "participant",
                ]
                    + common
            }
            let logs = ["first", "second"].map { folder.appending(path: $0) }
            for log in logs {
                try FileManager.default.createDirectory(at: log, withIntermediateDirectories: false)
            }
            let first = try Tool.start(arguments("out"), output: logs[0])
            let second = try Tool.start(arguments("out"), output: logs[1])
            for await _ in first.ended {}
            for await _ in second.ended {}
            #expect(first.process.terminationStatus == 0 && second.process.terminationStatus == 0)
            var made = 0
            for log in logs {
                let messages = try String(contentsOf: log.appending(path: "messages"), encoding: .utf8)
                made += try #require(messages.firstMatch(of: /Translated (\d)/).flatMap { Int($0.1) })
            }
            #expect(made == 4)
            _ = try await Tool.run(arguments("fresh"))
            #expect(try contents(folder.appending(path: "out")) == contents(folder.appending(path: "fresh")))
        }
    }

    @Test func masksAreThoseOfTheSubjects() async throws {
        try await withDataset { folder in
            let masks = folder.appending(path: "masks")
            let mask = brain(white: 90).map { $0 > 80 ? 1 : 0 }
            for (name, volume) in [("desc-brain", mask), ("desc-head", mask.map { 1 - $0 })] {
                try write(volume, to: masks.appending(path: "sub-01/anat/sub-01_\(name)_mask.nii.gz"))
            }
            let outcome = try await bids(folder, "--mask", masks.path)
            #expect(outcome.status == 1)
            #expect(
                outcome.messages.contains(
                    "there is no mask for sub-03/anat/sub-03_T1w.nii.gz, or more than one"),
                "\(outcome.messages)")
            let out = folder.appending(path: "out")
            let sidecar = try json(out, "\(Self.results[0]).json")
            #expect(
                sidecar["Sources"] as? [String] == [
                    "bids:source:sub-01/anat/sub-01_T1w.nii.gz",
                    "bids:masks:sub-01/anat/sub-01_desc-brain_mask.nii.gz",
                ])
            let result = try Volume(contentsOf: out.appending(path: "\(Self.results[0]).nii.gz"))
            #expect(zip(result.voxels, mask.voxels).allSatisfy { $1 > 0 || $0 == 0 })
            #expect(result.voxels.contains { $0 > 0 })
        }
    }

    @Test(.enabled(if: Fixtures.hasReference, Fixtures.missingReference))
    func aLatentModelMakesAVolumeOfEachTarget() async throws {
        try await withDataset { folder in
            func reference(_ name: String) -> String { Fixtures.reference("aldm/\(name)").path }
            let arguments = [
                "bids", folder.appending(path: "data").path, folder.appending(path: "out").path, "participant",
                "--participant-label", "01", "--source-suffix", "T1w", "--model",
                reference("unet_a.safetensors"),
                "--first-stage", reference("autoencoder_a.safetensors"), "--steps", "4", "--shape", "fit",
                "--target", "t2", "--target", "flair",
            ]
            let outcome = try await Tool.run(arguments)
            try #require(outcome.status == 0, "\(outcome.messages)")
            let out = folder.appending(path: "out")
            for suffix in ["T2w", "FLAIR"] {
                let path = "sub-01/anat/sub-01_desc-fromT1w_\(suffix)"
                #expect(try Volume(contentsOf: out.appending(path: "\(path).nii.gz")).shape == [14, 16, 12])
                let made = try #require(try json(out, "\(path).json")["VoxelBridge"] as? [String: Any])
                #expect(made["FirstStage"] != nil)
            }
            #expect(try await Tool.run(arguments).messages.contains("Translated 0, skipped 2"))
            let more = try await Tool.run(arguments + ["--seed", "1", "--dry-run"])
            #expect(more.output.contains("to do again (Settings changed)"))
            let unknown = try await Tool.run(arguments + ["--target", "t1ce"])
            #expect(unknown.status == 2 && unknown.messages.contains("give the suffix of results of 't1ce'"))
        }
    }

    // MARK: The group

    @Test func theGroupIsEvaluatedAndReported() async throws {
        try await withDataset { folder in
            _ = try await bids(folder, suffix: "T2w", "--target-suffix", "T1w")
            let alone = try await bids(folder, level: "group", "--reference-suffix", "PDw")
            #expect(alone.status == 0 && alone.messages.contains("No subject has an acquired PDw"))
            let out = folder.appending(path: "out")
            let report = out.appending(path: "group/T1w/report/index.html")
            #expect(try String(contentsOf: report, encoding: .utf8).contains("sub-03"))

            _ = try await bids(folder)
            let outcome = try await bids(folder, level: "group", "--match", "key")
            try #require(outcome.status == 0, "\(outcome.messages)")
            #expect(
                outcome.messages.contains("Warning: 2 of 5 results have no acquired volume"),
                "\(outcome.messages)")
            let table = try String(contentsOf: out.appending(path: "group/results.tsv"), encoding: .utf8)
            let lines = table.split(separator: "\n").map(String.init)
            #expect(lines.count == 6)
            #expect(
                lines.last
                    == "sub-03\tn/a\tT1w\tfromT2w\tsub-03/anat/sub-03_desc-fromT2w_T1w.nii.gz\t"
                    + "sub-03/anat/sub-03_T2w.nii.gz\tsub-03/anat/sub-03_T1w.nii.gz")
            let metrics = try String(contentsOf: out.appending(path: "group/T1w/metrics.csv"), encoding: .utf8)
            #expect(metrics.contains("sub-03,"))
            let participants = try String(contentsOf: out.appending(path: "participants.tsv"), encoding: .utf8)
            #expect(participants == "participant_id\tage\nsub-01\t71\nsub-02\t68\n")
            let labels = try String(contentsOf: out.appending(path: "descriptions.tsv"), encoding: .utf8)
            #expect(labels.contains("desc-fromT2w\tSynthetic"))
            #expect(try String(contentsOf: out.appending(path: ".bidsignore"), encoding: .utf8) == "group\n")
        }
    }

    // MARK: Misuse

    @Test func whatIsWrongIsNamed() async throws {
        try await withDataset { folder in
            func path(_ name: String) -> String { folder.appending(path: name).path }
            let style = path("style.nii")
            try FileManager.default.createDirectory(
                atPath: path("fmriprep"), withIntermediateDirectories: false)
            try write(
                text: #"{"Name": "F", "BIDSVersion": "1.4.0", "GeneratedBy": [{"Name": "fMRIPrep"}]}"#,
                to: folder,
                "fmriprep/dataset_description.json")
            let before = try contents(folder)
            for (status, words, message) in [
                (2, "@data @out everybody", "participant"),
                (2, "@data @out participant --source-suffix T1w", "--model"),
                (2, "@data @out participant --model histogram --style \(style)", "--source-suffix, such as ct"),
                (2, "@data @out participant --model histogram --source-suffix T1w", "takes a style"),
                (2, "@data @out participant \(style) --jobs 0", "--jobs must be from 1"),
                (2, "@data @out participant \(style) --desc a-b", "--desc must be of letters and digits"),
                (2, "@data @out participant \(style) --entity acq", "--entity must be like run-1"),
                (2, "@data @out participant \(style) --mask style.nii", "--mask must be one of brain"),
                (2, "@data @out participant \(style) --noise n.safetensors", "--noise applies to a single"),
                (2, "@data @data participant \(style)", "the output is the data set itself"),
                (2, "@data @fmriprep participant \(style)", "is a data set that fMRIPrep made"),
                (1, "@nowhere @out participant \(style)", "there is no such folder"),
                (1, "@masks @out participant \(style)", "there is no such folder"),
                (1, "@data/sub-01 @out participant \(style)", "dataset_description.json"),
                (1, "@data/sub-01 @out participant \(style) --skip-bids-validation", "there is no volume"),
                (
                    1, "@data @out participant \(style) --participant-label 9",
                    "there is no sub-9; there are 01, 02, 03"
                ),
                (
                    1, "@data @out participant --source-suffix ct --model histogram --style \(style)",
                    "have T1w, T2w"
                ),
                (1, "@data @out group", "there are no results"),
            ] {
                let words = words.replacing(
                    " participant \(style)", with: " participant \(style) --source-suffix T1w"
                )
                .replacing("participant \(style)", with: "participant --model histogram --style \(style)")
                .split(separator: " ").map { $0.hasPrefix("@") ? path(String($0.dropFirst())) : String($0) }
                let outcome = try await Tool.run(["bids"] + words)
                #expect(outcome.status == Int32(status), "\(words) \(outcome.messages)")
                #expect(outcome.messages.contains(message), "\(outcome.messages)")
            }
            #expect(try contents(folder) == before)
        }
    }
}
