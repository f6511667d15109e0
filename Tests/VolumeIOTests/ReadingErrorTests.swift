import Foundation
import TestSupport
import Testing
import VolumeIO
import Volumes

@Suite("Reading errors") struct ReadingErrorTests {
    private func reason(_ bytes: [UInt8], named name: String = "volume.nii") throws -> VolumeIOError.Reason? {
        try withFile(bytes, named: name) { reason(of: $0) }
    }

    private func reason(of url: URL) -> VolumeIOError.Reason? {
        do throws(VolumeIOError) {
            _ = try Volume(contentsOf: url)
            return nil
        } catch {
            #expect(error.path == url.path)
            #expect(error.description.hasPrefix(url.path + ": "))
            return error.reason
        }
    }

    private func reason(version: Int = 1, _ change: (inout NIfTIBytes) -> Void) throws -> VolumeIOError.Reason?
    {
        var file = NIfTIBytes(version: version)
        change(&file)
        return try reason(file.bytes)
    }

    @Test func nothingToRead() throws {
        try withTemporaryFolder { folder in
            let missing = folder.appending(path: "volume.nii")
            #expect(reason(of: missing) == .missing)
            // libnifti would take a file of a like name instead.
            try Data(gzip(NIfTIBytes().bytes)).write(to: folder.appending(path: "volume.nii.gz"))
            #expect(reason(of: missing) == .missing)
            #expect(reason(of: folder.appending(path: "volume")) == .missing)
            #expect(reason(of: folder) == .notARegularFile)
            #expect(reason(of: URL(filePath: "/dev/zero")) == .notARegularFile)
            let inside = folder.appending(path: "volume.nii.gz/volume.nii")
            guard case .unreadable = reason(of: inside) else { throw Unexpected(reason: reason(of: inside)) }
        }
        #expect(try reason([]) == .empty)
    }

    @Test(.enabled(if: getuid() != 0, "the superuser may read everything")) func noPermission() throws {
        try withFile(NIfTIBytes().bytes) { url in
            chmod(url.path, 0)
            guard case .unreadable = reason(of: url) else { throw Unexpected(reason: reason(of: url)) }
        }
    }

    @Test func aPipeIsNotWaitedFor() throws {
        try withTemporaryFolder { folder in
            let pipe = folder.appending(path: "volume.nii")
            #expect(mkfifo(pipe.path, 0o600) == 0)
            #expect(reason(of: pipe) == .notARegularFile)
        }
    }

    @Test func otherFormats() throws {
        let text = Array("Once upon a time there was a volume. ".utf8)
        #expect(try reason(Array("hi".utf8)) == .notNIfTI)
        #expect(try reason(text) == .notNIfTI)
        #expect(try reason(Array([[UInt8]](repeating: text, count: 99).joined())) == .notNIfTI)
        #expect(try reason(gzip(Array([[UInt8]](repeating: text, count: 99).joined()))) == .notNIfTI)
        #expect(try reason([UInt8](repeating: 0, count: 10_000)) == .notNIfTI)
        #expect(
            try reason(Array("<nifti_image\n  nifti_type = 'NIFTI-ASCII'\n".utf8), named: "v.nia") == .notNIfTI)
        #expect(try reason { $0.magic = [0, 0, 0, 0] } == .analyze)
        #expect(try reason { $0.magic = Array("ni1\0".utf8) } == .headerOfPair)
        #expect(try reason(version: 2) { $0.magic = Array("ni2\0\r\n\u{1a}\n".utf8) } == .headerOfPair)
        #expect(try reason { $0.magic = Array("n+9\0".utf8) } == .notNIfTI)
        #expect(try reason(version: 2) { $0.magic = Array("n+2\0\n\n\u{1a}\n".utf8) } == .notNIfTI)
        #expect(try reason { $0.headerSize = 349 } == .notNIfTI)
    }

    @Test func dimensions() throws {
        let huge = 1 << 40
        for dim in [
            [0, 2, 3, 4, 1, 1, 1, 1], [8, 2, 3, 4, 1, 1, 1, 1], [-1, 2, 3, 4, 1, 1, 1, 1],
            [3, 0, 3, 4, 1, 1, 1, 1], [3, 2, -3, 4, 1, 1, 1, 1], [4, 2, 3, 4, 0, 1, 1, 1],
        ] {
            #expect(try reason { $0.dim = dim } == .invalidDimensions(dim))
            #expect(try reason(version: 2) { $0.dim = dim } == .invalidDimensions(dim))
        }
        for dim in [
            [3, huge, huge, 4, 1, 1, 1, 1], [3, .max, 1, 1, 1, 1, 1, 1], [3, .min, .min, 1, 1, 1, 1, 1],
            [.max, 2, 3, 4, 1, 1, 1, 1], [3, huge, 1 << 20, 1, 1, 1, 1, 1],
        ] {
            #expect(try reason(version: 2) { $0.dim = dim } == .invalidDimensions(dim))
        }
        #expect(try reason { $0.dim = [1, 24, 1, 1, 1, 1, 1, 1] } == .notOneVolume(shape: [24]))
        #expect(try reason { $0.dim = [4, 2, 3, 2, 2, 1, 1, 1] } == .notOneVolume(shape: [2, 3, 2, 2]))
        #expect(try reason { $0.dim = [5, 2, 2, 2, 1, 3, 1, 1] } == .notOneVolume(shape: [2, 2, 2, 1, 3]))
    }

    @Test func extentsBeyondTheFile() throws {
        #expect(try reason { $0.dim[3] = 5 } == .truncated(expectedBytes: 472, foundBytes: 448))
        let claimed = 4 * 32767 * 32767 * 32767
        let dim = [3, 32767, 32767, 32767, 1, 1, 1, 1]
        #expect(
            try reason { $0.dim = dim } == .truncated(expectedBytes: 352 + claimed, foundBytes: 448))
        var file = NIfTIBytes()
        file.dim = dim
        let compressed = try gzip(file.bytes)
        #expect(
            try reason(compressed) == .impossibleSize(claimedBytes: claimed, fileBytes: compressed.count))
        // Possible for its size, and yet not there.
        file.dim = [3, 64, 64, 2, 1, 1, 1, 1]
        #expect(try reason(gzip(file.bytes)) == .truncated(expectedBytes: 352 + 32_768, foundBytes: 448))
    }

    /// A compressed file that is almost all hole: large enough for what its header claims, which no machine's
    /// address space holds.
    @Test func moreThanTheMemory() throws {
        var file = NIfTIBytes(version: 2)
        file.dim = [3, 1 << 20, 1 << 20, 1 << 6, 1, 1, 1, 1]
        file.set([] as [UInt8], dataType: 2)
        try withFile(gzip(file.bytes)) { url in
            try #require(truncate(url.path, off_t(1 << 46) / 1000) == 0)
            #expect(reason(of: url) == .insufficientMemory(neededBytes: 1 << 48))
        }
    }

    @Test func dataOffset() throws {
        for offset in [-1, 1, 351, 1e9, 449, 352.5, Double.nan, .infinity, -.infinity, 3e38] {
            guard case .invalidDataOffset(let found) = try reason({ $0.dataOffset = offset }) else {
                throw Unexpected(reason: try reason { $0.dataOffset = offset })
            }
            #expect(found == Double(Float(offset)) || found.isNaN)
        }
        for offset in [-1, 1, 543, 641, 9e18, -9e18] {
            #expect(try reason(version: 2) { $0.dataOffset = offset } == .invalidDataOffset(offset))
        }
        #expect(try reason { $0.dataOffset = 356 } == .truncated(expectedBytes: 452, foundBytes: 448))
        #expect(try reason { $0.dataOffset = 0 } == nil)
        var compressed = NIfTIBytes(version: 2)
        compressed.dataOffset = 1e15
        #expect(try reason(gzip(compressed.bytes)) == .invalidDataOffset(1e15))
    }

    @Test func dataTypes() throws {
        for (code, bits, name) in [
            (128, 24, "rgb24"), (2304, 32, "rgba32"), (32, 64, "complex64"), (1792, 128, "complex128"),
            (1536, 128, "float128"), (1, 1, "unknown type 1"), (0, 0, "unknown type 0"),
            (999, 8, "unknown type 999"), (-4, 16, "unknown type -4"),
        ] {
            let change: (inout NIfTIBytes) -> Void = {
                ($0.dataType, $0.bitsPerVoxel) = (Int16(code), Int16(bits))
            }
            #expect(try reason(change) == .unsupportedDataType(name))
            var file = NIfTIBytes()
            change(&file)
            #expect(try withFile(file.bytes) { try NIfTIHeader(contentsOf: $0).dataType } == name)
        }
        #expect(
            try reason { $0.bitsPerVoxel = 16 }
                == .bitsPerVoxelMismatch(dataType: "float32", expected: 32, found: 16))
    }

    @Test func scaling() throws {
        guard
            case .invalidScaling(slope: 2, intercept: let intercept) = try reason({
                ($0.slope, $0.intercept) = (2, .nan)
            })
        else { throw Unexpected(reason: nil) }
        #expect(intercept.isNaN)
    }

    /// Every file that is cut anywhere throws, whatever its version and compression.
    @Test(arguments: [1, 2]) func cutAnywhere(version: Int) throws {
        var file = NIfTIBytes(version: version)
        file.set((0..<24).map { Double($0) * 1.37 }, dataType: 64)
        let plain = file.bytes
        for count in 0..<plain.count {
            let reason = try reason(Array(plain.prefix(count)))
            switch reason {
            case .empty: #expect(count == 0)
            case .notNIfTI: #expect(count < 4)
            case .truncated(let expected, let found): #expect(found == count && expected > count)
            // A file that ends before the voxels begin.
            case .invalidDataOffset: #expect(count >= 348 && count < plain.count - 192)
            default: throw Unexpected(reason: reason)
            }
        }
        let compressed = try gzip(plain)
        for count in 0..<compressed.count {
            let reason = try reason(Array(compressed.prefix(count)))
            switch reason {
            case .empty, .notNIfTI: #expect(count < 2)
            case .truncated, .corruptGzip, .impossibleSize, .invalidDataOffset: break
            default: throw Unexpected(reason: reason)
            }
        }
    }

    @Test func damagedStream() throws {
        var generator = SeededGenerator(seed: 4)
        var file = NIfTIBytes()
        file.dim = [3, 50, 50, 10, 1, 1, 1, 1]
        file.set(generator.floats(25_000), dataType: 16)
        let compressed = try gzip(file.bytes)
        for offset in [5000, compressed.count / 2, compressed.count - 6] {
            var damaged = compressed
            damaged[offset] ^= 0x10
            #expect(try reason(damaged) == .corruptGzip)
        }
        for missing in 1...8 { #expect(try reason(Array(compressed.dropLast(missing))) == .corruptGzip) }
        #expect(try reason(compressed + [1, 2, 3]) == nil)
    }

    @Test func everyReasonSaysWhatToDo() {
        let reasons: [VolumeIOError.Reason] = [
            .missing, .notARegularFile, .unreadable("x"), .empty, .notNIfTI, .analyze, .headerOfPair,
            .corruptGzip,
            .truncated(expectedBytes: 2, foundBytes: 1), .impossibleSize(claimedBytes: 2, fileBytes: 1),
            .invalidDimensions([0]), .invalidDataOffset(.nan),
            .bitsPerVoxelMismatch(dataType: "int16", expected: 16, found: 8),
            .invalidScaling(slope: 1, intercept: .nan), .noUsablePlacement, .unsupportedDataType("rgb24"),
            .notOneVolume(shape: [2, 3]), .insufficientMemory(neededBytes: 1), .unknownExtension,
            .missingFolder("x"), .unwritable("x"), .gridTooLargeForNIfTI1(shape: [1, 2, 3]),
        ]
        let messages = reasons.map(\.description)
        #expect(Set(messages).count == reasons.count)
        #expect(messages.allSatisfy { $0.count > 30 })
        #expect(messages[16].contains("2 x 3"))
    }
}

struct Unexpected: Error { let reason: VolumeIOError.Reason? }
