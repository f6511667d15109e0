import Foundation
import TestSupport
import Testing
import VolumePhantoms
import VoxelBridge

/// What `phantom` writes.
struct PhantomTests {
    private func files(_ folder: URL) throws -> [String: Data] {
        try Dictionary(
            uniqueKeysWithValues: folder.files.map { ($0, try Data(contentsOf: folder.appending(path: $0))) })
    }

    @Test func aCohortIsWrittenWithItsManifest() async throws {
        try await withTemporaryFolder { folder in
            let output = folder.appending(path: "cohort")
            let outcome = try await Tool.succeed(
                "phantom", "--subjects", "4", "--shape", "16x20x18", "--seed", "9", "--source", "head",
                "--output",
                output.path)
            #expect(outcome.output.isEmpty)
            let manifest = output.appending(path: "manifest.csv")
            #expect(
                outcome.messages
                    == "Wrote 4 subjects and \(manifest.path): 2 train, 1 validation, 1 test\n")
            let rows = try String(contentsOf: manifest, encoding: .utf8).split(separator: "\n")
            #expect(rows.first == "subject,split,source,target,mask")
            #expect(rows.count == 5)
            let cohort = PhantomCohort(seed: 9, shape: [16, 20, 18], source: .head)
            for (number, row) in rows.dropFirst().enumerated() {
                let fields = row.split(separator: ",").map(String.init)
                try #require(fields.count == 5)
                #expect(fields[0] == "sub-000\(number + 1)")
                #expect(fields[1] == ["train", "train", "validation", "test"][number])
                let subject = cohort.subject(number)
                for (file, volume) in zip(fields[2...], [subject.source, subject.target, subject.mask]) {
                    let written = try Volume(contentsOf: output.appending(path: file))
                    #expect(written.voxels == volume.voxels)
                    #expect(written.grid.matches(volume.grid))
                }
            }
            #expect(try output.files.count == 13)
        }
    }

    /// With contrasts, files and columns have their names, and CT and T1 are those without.
    @Test func contrastsAreWrittenWithTheirManifest() async throws {
        try await withTemporaryFolder { folder in
            let output = folder.appending(path: "cohort")
            try await Tool.succeed(
                "phantom", "--subjects", "3", "--shape", "20x24x22", "--seed", "9", "--lesions", "40",
                "--contrasts", "t1, flair,ct", "--output", output.path, "--quiet")
            let rows = try String(contentsOf: output.appending(path: "manifest.csv"), encoding: .utf8)
                .split(separator: "\n")
            #expect(rows.first == "subject,split,t1,flair,ct,mask")
            #expect(
                rows.last
                    == "sub-0003,test,sub-0003_t1.nii.gz,sub-0003_flair.nii.gz,sub-0003_ct.nii.gz,sub-0003_mask.nii.gz"
            )
            #expect(try output.files.count == 13)
            var acquisition = PhantomAcquisition()
            acquisition.lesions = 0...40
            let cohort = PhantomCohort(seed: 9, shape: [20, 24, 22], acquisition: acquisition)
            let images = cohort.images(of: 2, in: PhantomContrast.allCases)
            for contrast in [PhantomContrast.t1, .flair, .ct] {
                let file = output.appending(path: "sub-0003_\(contrast.rawValue).nii.gz")
                #expect(try Volume(contentsOf: file).voxels == images[contrast]?.voxels)
            }
        }
    }

    /// Subjects depend neither on how many there are, nor on threads; and an earlier cohort is replaced.
    @Test func theSameSeedGivesTheSameBytes() async throws {
        try await withTemporaryFolder { folder in
            let (few, many) = (folder.appending(path: "few"), folder.appending(path: "many"))
            func make(_ subjects: Int, _ threads: Int, seed: Int, in folder: URL) async throws -> Set<String> {
                try await Tool.succeed(
                    "phantom", "--subjects", "\(subjects)", "--shape", "12x12x12", "--seed", "\(seed)",
                    "--threads", "\(threads)", "--output", folder.path, "--quiet")
                return Set(try folder.files)
            }
            _ = try await make(3, 1, seed: 1, in: few)
            let names = try await make(3, 1, seed: 2, in: few)
            _ = try await make(5, 4, seed: 2, in: many)
            let (fewFiles, manyFiles) = (try files(few), try files(many))
            for name in names where name != "manifest.csv" {
                #expect(fewFiles[name] == manyFiles[name], "\(name)")
            }
            #expect(fewFiles["manifest.csv"] != manyFiles["manifest.csv"])
        }
    }

    @Test func aRealBrainCanBeTheAnatomy() async throws {
        try await withTemporaryFolder { folder in
            let (t1, output) = (folder.appending(path: "t1.nii.gz"), folder.appending(path: "cohort"))
            try PhantomCohort(seed: 1, shape: [48, 56, 56]).subject(0).target.write(to: t1)
            try await Tool.succeed(
                "phantom", "--subjects", "1", "--shape", "20x20x20", "--spacing", "10", "--anatomy", t1.path,
                "--output", output.path)
            let target = try Volume(contentsOf: output.appending(path: "sub-0001_target.nii.gz"))
            #expect(target.grid.spacing == [10, 10, 10])
            #expect(target.voxels.count { $0 > 0 } > 500)
            // A subject may be an anatomy, but not of the cohort that replaces it.
            let before = try files(output)
            let outcome = try await Tool.run(
                "phantom", "--anatomy", output.appending(path: "sub-0001_target.nii.gz").path, "--output",
                output.path)
            #expect(outcome.status == 2 && outcome.messages.contains("might be overwritten"))
            #expect(try files(output) == before)
        }
    }
}
