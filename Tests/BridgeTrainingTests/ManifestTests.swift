import BridgeTraining
import Foundation
import TestSupport
import Testing
import VolumeIO

/// The table of subjects: what is read, and the problems that are reported.
struct ManifestTests {
    /// A folder with volumes and a manifest.
    private func withManifest<Result>(
        _ lines: [String], encoding: String.Encoding = .utf8, separator: String = "\n",
        _ body: (URL) throws -> Result
    ) throws -> Result {
        try withTemporaryFolder { folder in
            let grid = VoxelGrid(shape: [20, 24, 16], spacing: [3, 3, 3])
            let brain = Volume.brainPhantom(on: grid)
            func write(_ volume: Volume, _ name: String) throws {
                try volume.write(to: folder.appending(path: name))
            }
            try write(brain, "ct.nii")
            try write(brain.map { 100 - $0 }, "t1, final.nii.gz")
            try write(Volume(grid: grid, repeating: 7), "flat.nii")
            try write(Volume(grid: grid).map { _ in 1 }, "mask.nii")
            try write(
                Volume.brainPhantom(on: VoxelGrid(shape: [20, 24, 15], spacing: [3, 3, 3])), "short.nii")
            try write(
                Volume.brainPhantom(on: VoxelGrid(shape: [20, 24, 16], spacing: [3, 3, 4])), "thick.nii")
            // A hundredth of a voxel is the limit.
            for (name, shift) in [("moved.nii", 0.05), ("rounded.nii", 0.02)] {
                let affine = Affine(spacing: grid.spacing, translation: [0, shift, 0])
                try write(
                    Volume(grid: VoxelGrid(shape: grid.shape, affine: affine), voxels: brain.voxels), name)
            }
            try Data("no volume".utf8).write(to: folder.appending(path: "text.nii"))
            let file = folder.appending(path: "pairs.csv")
            try lines.joined(separator: separator).data(using: encoding)!.write(to: file)
            return try body(file)
        }
    }

    private let header = "subject,split,source,target,mask"

    @Test func aTableIsRead() throws {
        let lines = [
            "Split, subject ,target,source,mask", "", #"train,anna,"t1, final.nii.gz",ct.nii,mask.nii"#,
            "validation,ben,ct.nii, ct.nii", #"test,"carl",ct.nii,ct.nii,"#, "",
        ]
        for separator in ["\n", "\r\n"] {
            for mark in ["", "\u{FEFF}"] {
                try withManifest([mark + lines[0]] + lines[1...], separator: separator) { file in
                    let manifest = try Manifest(contentsOf: file)
                    #expect(manifest.problems.isEmpty, "\(manifest.problems)")
                    #expect(manifest.subjects.map(\.name) == ["anna", "ben", "carl"])
                    #expect(manifest.subjects.map(\.split) == [.train, .validation, .test])
                    #expect(manifest.subjects.map(\.line) == [3, 4, 5])
                    let anna = manifest.subjects[0]
                    #expect(anna.target.lastPathComponent == "t1, final.nii.gz")
                    #expect(anna.source.path == file.deletingLastPathComponent().path + "/ct.nii")
                    let copy = file.deletingLastPathComponent().appending(path: "copy/copy.csv")
                    try FileManager.default.createDirectory(
                        at: copy.deletingLastPathComponent(), withIntermediateDirectories: true)
                    try manifest.write(to: copy)
                    let copied = try Manifest(contentsOf: copy).subjects
                    #expect(copied.map(\.target) == manifest.subjects.map(\.target))
                    #expect(copied.map(\.mask) == manifest.subjects.map(\.mask))
                    #expect(anna.mask?.lastPathComponent == "mask.nii" && manifest.subjects[1].mask == nil)
                }
            }
        }
    }

    /// What lies below the manifest is named by where it lies from there, and goes where the folder goes.
    @Test func aFolderWithItsManifestMayBeMoved() throws {
        try withManifest([header]) { file in
            let folder = file.deletingLastPathComponent()
            let (inside, outside) = (folder.appending(path: "data/a, b"), folder.appending(path: "data 2"))
            for url in [inside, outside] {
                try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
                try FileManager.default.copyItem(
                    at: folder.appending(path: "ct.nii"), to: url.appending(path: "ct.nii"))
            }
            let (near, far) = (inside.appending(path: "ct.nii"), outside.appending(path: "ct.nii"))
            let subjects = [
                Manifest.Subject(name: "anna", split: .train, source: near, target: far),
                Manifest.Subject(name: "ben", split: .test, source: far, target: near, mask: near),
            ]
            let place = folder.appending(path: "data/pairs.csv")
            let manifest = Manifest(subjects, file: place)
            #expect(manifest.problems.isEmpty && manifest.subjects.map(\.line) == [2, 3])
            try manifest.write(to: place)
            #expect(
                try String(contentsOf: place, encoding: .utf8) == """
                    subject,split,source,target,mask
                    anna,train,"a, b/ct.nii",\(far.path),
                    ben,test,\(far.path),"a, b/ct.nii","a, b/ct.nii"

                    """)
            #expect(try Manifest(contentsOf: place).subjects == manifest.subjects)
            let moved = folder.appending(path: "moved")
            try FileManager.default.moveItem(at: folder.appending(path: "data"), to: moved)
            let read = try Manifest(contentsOf: moved.appending(path: "pairs.csv"))
            #expect(read.problems.isEmpty)
            #expect(read.subjects.map(\.source.path) == [moved.path + "/a, b/ct.nii", far.path])
        }
    }

    @Test func subjectsAreCheckedAsThoseOfAFile() throws {
        try withManifest([header]) { file in
            func subject(_ name: String, _ target: String) -> Manifest.Subject {
                let folder = file.deletingLastPathComponent()
                return Manifest.Subject(
                    name: name, split: .train, source: folder.appending(path: "ct.nii"),
                    target: folder.appending(path: target))
            }
            let manifest = Manifest(
                [
                    subject("anna", "ct.nii"), subject("Anna", "ct.nii"), subject("../ben", "ct.nii"),
                    subject("carl", "missing.nii"), subject("dora", "short.nii"),
                ], file: file)
            #expect(manifest.subjects.map(\.name) == ["anna"])
            #expect(manifest.problems.map(\.line) == [3, 4, 5, 6])
            let before = try Data(contentsOf: file)
            let error = #expect(throws: ManifestError.self) { try manifest.write(to: file) }
            #expect(error?.problems == manifest.problems)
            #expect(try Data(contentsOf: file) == before)
            #expect(Manifest([], file: file).problems.map(\.text) == ["has no subjects"])
        }
    }

    @Test func allProblemsAreReportedByLine() throws {
        let lines = [
            header,
            "anna,train,ct.nii,ct.nii,",
            "ben,train,missing.nii,ct.nii,",
            "carl,holdout,ct.nii,ct.nii,",
            "Anna,train,ct.nii,ct.nii,",
            "dora,train,ct.nii,short.nii,",
            "emil,train,ct.nii,thick.nii,",
            "fay,train,flat.nii,ct.nii,",
            "gus,train,ct.nii,flat.nii,",
            "hal,train,ct.nii,ct.nii,short.nii",
            "../ida,train,ct.nii,ct.nii,",
            "joe,train,ct.nii,,",
            "kim,train,ct.nii,ct.nii,,extra",
            ",train,ct.nii,ct.nii,",
            "lou,nowhere,absent.nii,text.nii,",
            "max,train,ct.nii,moved.nii,",
            "nia,train,ct.nii,rounded.nii,",
        ]
        try withManifest(lines) { file in
            var configuration = TrainingConfiguration()
            configuration.data.spacing = 3
            let cache = file.deletingLastPathComponent().appending(path: "cache")
            let error = #expect(throws: ManifestError.self) {
                try ManifestDataset.prepare(
                    Manifest(contentsOf: file), cache: cache, configuration: configuration)
            }
            let problems = error?.problems ?? []
            func expect(_ line: Int, _ texts: String...) {
                let found = problems.filter { $0.line == line }.map(\.text)
                #expect(found.count == texts.count, "line \(line): \(found)")
                for text in texts { #expect(found.contains { $0.contains(text) }, "line \(line): \(found)") }
            }
            expect(3, "missing.nii: there is no such file")
            expect(4, "unknown split 'holdout'; expected one of train, validation, test")
            expect(5, "duplicate subject 'Anna', also on line 2")
            expect(6, "the target is not on the source's grid: found 20 x 24 x 15")
            expect(16, "they are up to 0.05 mm apart, and at most 0.03 mm, 1% of a voxel, is allowed")
            expect(7, "voxels of 3 x 3 x 4 mm")
            expect(8, "flat.nii: every voxel of the volume is 7.0")
            expect(9, "flat.nii: every voxel of the volume is")
            expect(10, "the mask is not on the source's grid")
            expect(11, "'../ida' is not a file name")
            expect(12, "there is no target")
            expect(13, "found 6 fields; expected 5")
            expect(14, "there is no subject")
            expect(15, "unknown split", "absent.nii: there is no such file", "text.nii")
            #expect(problems.map(\.line) == problems.map(\.line).sorted())
            #expect(error?.description.contains("pairs.csv:4: unknown split") == true)
        }
    }

    @Test(arguments: [
        ([""], "is empty"),
        (["subject,split,source"], "there is no column 'target'"),
        (["subject,split,sauce,target"], "there is no column 'source'"),
        (["subject,split,source,target,source"], "duplicate column 'source'"),
        (["subject,split,source,target"], "has no subjects"),
        (["subject,split,source,target", "a,validation,ct.nii,ct.nii"], "no subject of the split train"),
    ])
    func tablesThatAreNoneAreErrors(lines: [String], message: String) throws {
        try withManifest(lines) { file in
            var configuration = TrainingConfiguration()
            configuration.data.spacing = 3
            let error = #expect(throws: ManifestError.self) {
                _ = try ManifestDataset.prepare(
                    Manifest(contentsOf: file), cache: file.deletingLastPathComponent(),
                    configuration: configuration)
            }
            #expect(error?.description.contains(message) == true, "\(error.map { "\($0)" } ?? "")")
        }
    }

    // MARK: as spreadsheets and scripts write it

    private let plain = ["subject,split,source,target", "anna,train,ct.nii,\"t1, final.nii.gz\""]

    private func read(_ lines: [String], encoding: String.Encoding = .utf8) throws -> Manifest {
        try withManifest(lines, encoding: encoding) { try Manifest(contentsOf: $0) }
    }

    private func expectAnna(_ manifest: Manifest) {
        #expect(manifest.problems.isEmpty)
        #expect(manifest.subjects.map(\.name) == ["anna"])
        #expect(manifest.subjects.map(\.target.lastPathComponent) == ["t1, final.nii.gz"])
    }

    @Test(arguments: [";", "\t"]) func otherSeparators(separator: String) throws {
        let lines = ["subject,split,source,target", "anna,train,ct.nii,@"].map {
            $0.replacing(",", with: separator).replacing("@", with: "t1, final.nii.gz")
        }
        let manifest = try read(lines)
        expectAnna(manifest)
        #expect(manifest.warnings.isEmpty)
        // A problem is the same with every separator.
        let problem = try read([lines[0], "ben;train;ct.nii".replacing(";", with: separator)]).problems
        #expect(problem.map(\.text) == ["there is no target"])
    }

    @Test(arguments: [String.Encoding.utf16, .utf16LittleEndian, .utf16BigEndian])
    func otherEncodings(encoding: String.Encoding) throws {
        let manifest = try read(plain, encoding: encoding)
        expectAnna(manifest)
        #expect(manifest.warnings.isEmpty)
    }

    @Test func latin1() throws {
        let manifest = try read([plain[0], "zoé,train,ct.nii,ct.nii"], encoding: .isoLatin1)
        #expect(manifest.subjects.map(\.name) == ["zoé"])
        #expect(manifest.warnings[0].line == 0 && manifest.warnings[0].text.contains("Latin-1"))
        let error = #expect(throws: ManifestError.self) { try read([plain[0] + "\u{0}\u{0}x"]) }
        #expect(error?.description.contains("not a text file") == true)
    }

    @Test func whatIsNotReadIsSaid() throws {
        let lines = [
            "# pairs of 2024", ",subject,split,source,target,age,",
            #"0,anna,train,ct.nii,"t1, final.nii.gz",40,"#,
            ",,,,,,", "#1,ben,train,ct.nii,ct.nii,41,,",
        ]
        let manifest = try read(lines)
        expectAnna(manifest)
        #expect(manifest.subjects[0].line == 3)
        #expect(manifest.warnings.map(\.line) == [2, 1])
        #expect(manifest.warnings[0].text.hasPrefix("ignored columns: 'age', 2 without a name"))
        #expect(manifest.warnings[1].text.contains("'#'"))
    }

    /// A name that was typed as one code point and stored as two, or the other way.
    @Test func theOtherUnicodeForm() throws {
        for (stored, typed) in [("u\u{308}ber", "\u{fc}ber"), ("\u{fc}ber", "u\u{308}ber")] {
            try withManifest([plain[0], "anna,train,\(typed).nii,ct.nii"]) { file in
                let url = file.deletingLastPathComponent().appending(path: stored + ".nii")
                try Volume.brainPhantom(on: VoxelGrid(shape: [20, 24, 16], spacing: [3, 3, 3])).write(to: url)
                let manifest = try Manifest(contentsOf: file)
                #expect(manifest.problems.isEmpty, "\(manifest.problems)")
                #expect(
                    manifest.subjects.first?.source.path.unicodeScalars.count == url.path.unicodeScalars.count)
            }
        }
    }

    @Test func filesThatAreUsedTwice() throws {
        let manifest = try read([
            header, "anna,train,ct.nii,\"t1, final.nii.gz\",mask.nii", "ben,train,ct.nii,\"t1, final.nii.gz\",",
            "carl,validation,flat.nii,\"t1, final.nii.gz\",mask.nii", "dora,test,flat.nii,flat.nii,",
        ])
        #expect(manifest.problems.isEmpty)
        #expect(manifest.warnings.map(\.line) == [4, 5, 5])
        #expect(manifest.warnings[0].text.contains("is in the split validation, and in train on line 2"))
        #expect(manifest.warnings[1].text.hasPrefix("source and target are the same file"))
        #expect(manifest.warnings[2].text.contains("in the split test, and in validation on line 4"))
    }

    /// Positions that differ by rounding are the same grid; beyond a hundredth of a voxel the distance is given.
    @Test func gridsThatDifferByLittle() throws {
        for (shift, fits) in [(0.002, true), (0.029, true), (0.031, false)] {
            try withManifest([plain[0], "anna,train,ct.nii,moved.nii"]) { file in
                let grid = VoxelGrid(
                    shape: [20, 24, 16], affine: Affine(spacing: [3, 3, 3], translation: [0, shift, 0]))
                try Volume.brainPhantom(on: grid).write(
                    to: file.deletingLastPathComponent().appending(path: "moved.nii"))
                let manifest = try Manifest(contentsOf: file)
                #expect(manifest.problems.isEmpty == fits)
                if !fits { #expect(manifest.problems[0].text.contains("up to 0.031 mm apart")) }
            }
        }
    }

    /// What headers leave open is said by line.
    @Test func warningsOfHeaders() throws {
        try withManifest([plain[0], "anna,train,ct.nii,ct.nii"]) { file in
            let url = file.deletingLastPathComponent().appending(path: "ct.nii")
            var bytes = try Data(contentsOf: url)
            bytes.replaceSubrange(252..<256, with: [0, 0, 0, 0])
            try bytes.write(to: url)
            let warnings = try Manifest(contentsOf: file).warnings
            #expect(warnings.map(\.line) == [2, 2, 2])
            #expect(warnings[0].text == "source \(url.path): \(VolumeIOWarning.noOrientation)")
        }
    }

    @Test func aMissingFileIsAnError() {
        #expect(throws: ManifestError.self) { try Manifest(contentsOf: URL(filePath: "/nowhere/pairs.csv")) }
    }
}
