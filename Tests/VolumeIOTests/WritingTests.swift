import Foundation
import TestSupport
import Testing
import VolumeIO
import Volumes

@Suite("Writing") struct WritingTests {
    private let volume = Volume(grid: VoxelGrid(shape: [20, 30, 40]), repeating: 0.5)

    private func reason(_ body: () throws -> Void) -> VolumeIOError.Reason? {
        #expect(throws: VolumeIOError.self, performing: body)?.reason
    }

    private func names(in folder: URL) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    }

    @Test func theSameVolumeGivesTheSameBytes() throws {
        try withTemporaryFolder { folder in
            let first = folder.appending(path: "first.nii.gz")
            let second = folder.appending(path: "second.nii.gz")
            try volume.write(to: first)
            sleep(1)
            try volume.write(to: second)
            let bytes = try Data(contentsOf: first)
            #expect(try Data(contentsOf: second) == bytes)
            // RFC 1952: no flags, hence no name, and no modification time.
            #expect(Array(bytes.prefix(8)) == [0x1f, 0x8b, 8, 0, 0, 0, 0, 0])
            #expect(try names(in: folder) == ["first.nii.gz", "second.nii.gz"])
        }
    }

    /// The fields of the standard that other programs look at, by their offsets.
    @Test func headerFields() throws {
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "volume.nii")
            try volume.write(to: url, space: .scanner, text: String(repeating: "é", count: 60))
            let bytes = Array(try Data(contentsOf: url))
            func number<Number>(at offset: Int) -> Number {
                bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Number.self) }
            }
            #expect(bytes.count == 352 + 4 * 24_000)
            #expect(number(at: 0) as Int32 == 348)
            #expect((0..<8).map { number(at: 40 + 2 * $0) as Int16 } == [3, 20, 30, 40, 1, 1, 1, 1])
            #expect([number(at: 70), number(at: 72)] as [Int16] == [16, 32])
            #expect(number(at: 108) as Float == 352)
            #expect([number(at: 112), number(at: 116)] as [Float] == [1, 0])
            #expect(bytes[123] == 2)
            #expect([number(at: 252), number(at: 254)] as [Int16] == [1, 1])
            #expect(Array(bytes[344..<352]) == Array("n+1\0\0\0\0\0".utf8))
            #expect(bytes[148..<228].filter { $0 != 0 }.count == 78)
        }
    }

    @Test func namesWithoutAMeaning() throws {
        try withTemporaryFolder { folder in
            for name in ["volume", "volume.mnc", "volume.gz", "volume.nii.bz2", "volume.nii.gz.txt"] {
                #expect(reason { try volume.write(to: folder.appending(path: name)) } == .unknownExtension)
            }
            let left = try names(in: folder)
            #expect(left == [])
        }
    }

    @Test func noFolder() throws {
        try withTemporaryFolder { folder in
            let missing = folder.appending(path: "missing")
            #expect(
                reason { try volume.write(to: missing.appending(path: "a.nii")) }
                    == .missingFolder(missing.path))
            try Data([1]).write(to: missing)
            #expect(
                reason { try volume.write(to: missing.appending(path: "a.nii")) }
                    == .missingFolder(missing.path))
            #expect(try names(in: folder) == ["missing"])
        }
    }

    @Test(.enabled(if: getuid() != 0, "the superuser may write everywhere")) func folderWithoutPermission()
        throws
    {
        try withTemporaryFolder { folder in
            chmod(folder.path, 0o500)
            defer { chmod(folder.path, 0o700) }
            guard case .unwritable = reason({ try volume.write(to: folder.appending(path: "a.nii")) }) else {
                throw Unexpected(reason: nil)
            }
        }
    }

    @Test(arguments: ["volume.nii", "volume.nii.gz"]) func aFolderOfThatNameStays(name: String) throws {
        try withTemporaryFolder { folder in
            let inside = folder.appending(path: name).appending(path: "kept")
            try FileManager.default.createDirectory(at: inside, withIntermediateDirectories: true)
            guard case .unwritable = reason({ try volume.write(to: folder.appending(path: name)) }) else {
                throw Unexpected(reason: nil)
            }
            #expect(try names(in: folder) == [name])
            #expect(FileManager.default.fileExists(atPath: inside.path))
        }
    }

    #if compiler(>=6.2)
        /// In a process of its own, whose files may not grow beyond 50 kB: as on a full disk, with no disk to fill.
        @Test func aFullDiskLeavesTheOlderFile() async {
            await #expect(processExitsWith: .success) {
                let fileSize: CInt = 1  // RLIMIT_FSIZE, whose type differs between systems
                var limit = rlimit(rlim_cur: 50_000, rlim_max: 50_000)
                signal(SIGXFSZ, SIG_IGN)
                try #require(setrlimit(fileSize, &limit) == 0)
                var generator = SeededGenerator(seed: 1)
                let volume = Volume(grid: VoxelGrid(shape: [20, 30, 40]), voxels: generator.floats(24_000))
                for name in ["volume.nii", "volume.nii.gz"] {
                    try withTemporaryFolder { folder in
                        let url = folder.appending(path: name)
                        try Data([1, 2, 3]).write(to: url)
                        let error = #expect(throws: VolumeIOError.self) { try volume.write(to: url) }
                        guard case .unwritable = error?.reason else { throw Unexpected(reason: error?.reason) }
                        try #require(try Data(contentsOf: url) == Data([1, 2, 3]))
                        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
                        try #require(names == [name])
                    }
                }
            }
        }
    #endif

    @Test func anOlderFileIsReplacedWhole() throws {
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "volume.nii")
            try Data(repeating: 7, count: 1_000_000).write(to: url)
            try volume.write(to: url)
            #expect(try Volume(contentsOf: url) == volume)
            #expect(try names(in: folder) == ["volume.nii"])
        }
    }

    @Test func aLinkIsFollowed() throws {
        try withTemporaryFolder { folder in
            let (link, target) = (folder.appending(path: "link.nii"), folder.appending(path: "target.nii"))
            try Data([1]).write(to: target)
            try FileManager.default.createSymbolicLink(at: link, withDestinationURL: target)
            try volume.write(to: link)
            #expect(try Volume(contentsOf: target) == volume)
            #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link.path) == target.path)
        }
    }
}

struct FileDescriptionTests {
    @Test func headersAndFilesAreDescribedInOneLine() throws {
        try withTemporaryFolder { folder in
            let path = folder.appending(path: "a.nii").path
            try Volume(grid: VoxelGrid(shape: [4, 5, 6], spacing: [1, 1, 2])).write(to: path)
            let header = try NIfTIHeader(contentsOf: path)
            #expect("\(header)" == "NIfTI-1, 4 x 5 x 6, float32; 4 x 5 x 6 voxels of 1 x 1 x 2 mm, RAS")
            #expect(try "\(VolumeFile(contentsOf: path))" == "\(header), intensities 0.0 to 0.0")
            let error = #expect(throws: VolumeIOError.self) { try VolumeFile(contentsOf: path + "x") }
            #expect(error?.localizedDescription == error?.description)
            #expect(error?.reason.localizedDescription == error?.reason.description)
        }
    }
}
