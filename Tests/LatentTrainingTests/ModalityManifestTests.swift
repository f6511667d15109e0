import Foundation
import TestSupport
import Testing
import VolumeIO
import Volumes

@testable import LatentTraining

/// Tables of subjects in any modalities.
struct ModalityManifestTests {
    private func manifest(_ lines: [String], in folder: URL) throws -> ModalityManifest {
        let table = folder.appending(path: "table.csv")
        try Data(lines.joined(separator: "\n").utf8).write(to: table)
        return try ModalityManifest(contentsOf: table)
    }

    private func writeVolumes(_ names: [String], in folder: URL, shape: SIMD3<Int> = [4, 4, 4]) throws {
        for name in names {
            try Volume(
                grid: VoxelGrid(shape: shape), voxels: [Float](repeating: 1, count: shape.x * shape.y * shape.z)
            )
            .write(to: folder.appending(path: name))
        }
    }

    @Test func everyColumnIsAModalityAndFieldsMayBeEmpty() throws {
        try withTemporaryFolder { folder in
            try writeVolumes(["a.nii", "b.nii", "c.nii", "m.nii"], in: folder)
            let read = try manifest(
                ["Subject;split;T1;pd;mask", "x;train;a.nii;;m.nii", "y;validation;b.nii;c.nii;"], in: folder)
            #expect(read.problems.isEmpty && read.warnings.isEmpty)
            #expect(read.modalities == ["t1", "pd"])
            #expect(read.subjects.map { $0.volumes.keys.sorted() } == [["t1"], ["pd", "t1"]])
            #expect(read.subjects.map { $0.mask?.lastPathComponent } == ["m.nii", nil])
            // Written and read again, in another folder.
            let other = folder.appending(path: "other.csv")
            try read.write(to: other)
            let again = try ModalityManifest(contentsOf: other)
            #expect(again.modalities == read.modalities && again.subjects == read.subjects)
        }
    }

    @Test func allProblemsAreReportedByLine() throws {
        try withTemporaryFolder { folder in
            try writeVolumes(["a.nii", "b.nii"], in: folder)
            try writeVolumes(["big.nii"], in: folder, shape: [5, 4, 4])
            let read = try manifest(
                [
                    "subject,split,t1,t2", "x,train,a.nii,b.nii", "x,train,a.nii,", "y,val,a.nii,b.nii",
                    "z,train,,", "v,train,none.nii,b.nii", "w,train,a.nii,big.nii", ",train,a.nii,",
                ], in: folder)
            #expect(read.subjects.map(\.name) == ["x"])
            #expect(read.problems.map(\.line) == [3, 4, 5, 6, 7, 8])
            let texts = read.problems.map(\.text)
            #expect(texts[0].contains("duplicate subject 'x'"))
            #expect(texts[1].contains("unknown split 'val'"))
            #expect(texts[2].contains("expected one of t1, t2"))
            #expect(texts[3].contains("none.nii"))
            #expect(texts[4].contains("the t2 is not on the t1's grid"))
            #expect(texts[5].contains("there is no subject"))
        }
    }

    @Test(arguments: [
        (["subject,t1"], "there is no column 'split'"), (["subject,split"], "there is no column of volumes"),
        (["subject,split,t1,t1"], "duplicate column 't1'"), ([""], "is empty"),
    ])
    func tablesWithoutWhatIsNeededAreRefused(lines: [String], text: String) throws {
        try withTemporaryFolder { folder in
            let error = #expect(throws: ManifestError.self) { try manifest(lines, in: folder) }
            #expect(error?.description.contains(text) == true)
        }
    }

    @Test func preparationReportsAllProblemsOfTheDataAtOnce() throws {
        try withTemporaryFolder { folder in
            try writeVolumes(["a.nii", "b.nii"], in: folder)
            let empty = Volume(grid: VoxelGrid(shape: [4, 4, 4]), voxels: [Float](repeating: 0, count: 64))
            try empty.write(to: folder.appending(path: "empty.nii"))
            let read = try manifest(
                ["subject,split,t1,ct", "x,train,a.nii,", "y,train,empty.nii,", "z,validation,,b.nii"],
                in: folder)
            var configuration = try SmallCohort.configuration()
            configuration.model.targets = ["t1", "t2", "flair"]
            let error = #expect(throws: ManifestError.self) {
                try ModalityDataset.prepare(
                    read, cache: folder.appending(path: "cache"), configuration: configuration)
            }
            let problems = try #require(error?.problems)
            // Two targets without a column, a volume without foreground, and a subject without a target.
            #expect(problems.map(\.line) == [1, 1, 3, 4])
        }
    }
}
