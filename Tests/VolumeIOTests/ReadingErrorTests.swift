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
            switch reason(of: folder) {
            case .converterMissing, .conversionFailed: break
            default: throw Unexpected(reason: reason(of: folder))
            }
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
            [3, 0, 3, 4, 1, 1, 1, 1], [3, 2, -3, 4, 1, 1, 1, 1], [4, 2, 3, 4, -1, 1, 1, 1],
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

    /// A compressed file that is almost all hole: large enough for what its header claims.
    private static func reasonOfHole(dim: [Int]) throws -> VolumeIOError.Reason? {
        var file = NIfTIBytes(version: 2)
        file.dim = dim
        file.set([] as [UInt8], dataType: 2)
        return try withFile(gzip(file.bytes)) { url in
            try #require(truncate(url.path, off_t(1 << 34) / 1000) == 0)
            return #expect(throws: VolumeIOError.self) { try Volume(contentsOf: url) }?.reason
        }
    }

    @Test func moreVoxelsThanAVolumeMayHave() throws {
        let shape = [1 << 11, 1 << 10, 1 << 10]
        let reason = try Self.reasonOfHole(dim: [3] + shape + [1, 1, 1, 1])
        #expect(reason == .tooManyVoxels(shape: shape))
    }

    #if compiler(>=6.2)
        /// In a process of its own, whose address space is too small.
        @Test(.disabled(if: isSanitized, "sanitizers need the address space"))
        func moreThanTheMemory() async {
            await #expect(processExitsWith: .success) {
                let addressSpace: CInt = 9  // RLIMIT_AS, whose type differs between systems
                var limit = rlimit(rlim_cur: 4 << 30, rlim_max: 4 << 30)
                try #require(setrlimit(addressSpace, &limit) == 0)
                let reason = try Self.reasonOfHole(dim: [3, 1 << 10, 1 << 10, 1 << 10, 1, 1, 1, 1])
                try #require(reason == .insufficientMemory(neededBytes: 1 << 32))
            }
        }
    #endif

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

    /// Bytes before the voxels of a compressed file are decompressed: not gigabytes of them.
    @Test func aFarOffsetInAStream() throws {
        var file = NIfTIBytes(version: 2)
        file.dataOffset = Double(1 << 28 + 16)
        try withFile(gzip(file.bytes)) { url in
            try #require(truncate(url.path, 1 << 20) == 0)
            #expect(reason(of: url) == .invalidDataOffset(Double(1 << 28 + 16)))
        }
    }

    @Test func streamsOfSeveralMembers() throws {
        let bytes = NIfTIBytes().bytes
        let (first, second) = (Array(bytes[..<400]), Array(bytes[400...]))
        let expected = (0..<24).map { Float($0) }
        for tail in [[], [0], [UInt8](repeating: 0, count: 999), Array("junk".utf8), [0x1f]] {
            let stream = try gzip(first) + gzip([]) + gzip(second) + tail
            #expect(try withFile(stream) { try Volume(contentsOf: $0) }.voxels == expected)
        }
        var damaged = try gzip(first) + gzip(second)
        damaged[damaged.count - 6] ^= 1
        #expect(try reason(damaged) == .corruptGzip)
    }

    @Test func filesThatStandForOthers() throws {
        let lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 77\n"
        #expect(try reason(Array(lfs.utf8)) == .pointer(.gitLFS))
        for annex in ["/annex/objects/MD5E-s9--01.nii.gz\n", "../.git/annex/objects/a/b/MD5E-s9--01.nii.gz"] {
            #expect(try reason(Array(annex.utf8)) == .pointer(.gitAnnex))
        }
        for page in ["<!doctype html>\n<html><body>Log in", "\n <HTML><head>"] {
            #expect(try reason(Array(page.utf8), named: "volume.nii.gz") == .webPage)
        }
        #expect(try reason([UInt8](repeating: 0, count: 128) + Array("DICM".utf8)) == .dicom)
        #expect(try reason([8, 0, 5, 0, 67, 83]) == .dicom)
        try withTemporaryFolder { folder in
            let link = folder.appending(path: "volume.nii.gz")
            for target in ["elsewhere.nii.gz", ".git/annex/objects/xx/yy/MD5E-s9--01.nii.gz"] {
                try FileManager.default.createSymbolicLink(atPath: link.path, withDestinationPath: target)
                #expect(reason(of: link) == .danglingLink(target: target))
                try FileManager.default.removeItem(at: link)
            }
        }
        #expect(
            VolumeIOError.Reason.danglingLink(target: ".git/annex/objects/a").description.contains(
                "datalad get"))
    }

    @Test func aConnectivityMatrixIsNoVolume() throws {
        let file = try reason(version: 2) {
            $0.dim = [6, 1, 1, 1, 1, 4, 6, 1]
            $0.intentCode = 3001
        }
        #expect(file == .cifti(shape: [4, 6]))
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
            .danglingLink(target: "x"), .pointer(.gitLFS), .pointer(.gitAnnex), .webPage, .dicom,
            .cifti(shape: [2, 3]), .missingPartner("x"), .tooManyVoxels(shape: [1]),
            .noSuchVolume(index: 4, count: 3), .indistinct(dataType: "int64", low: 1, high: 2),
            .converterMissing, .conversionFailed("x"), .severalSeries(["x", "y"]),
            .notFiniteAsInteger(count: 1, dataType: "int8"),
            .notRepresentable(low: 0, high: 1, dataType: "int8"), .unequalShape(shape: [1], expected: [2]),
            .wrongVolumeCount(found: 1, expected: 2),
        ]
        let messages = reasons.map(\.description)
        #expect(Set(messages).count == reasons.count)
        #expect(messages.allSatisfy { $0.count > 30 })
        #expect(messages[16].contains("2 x 3"))
    }
}

struct Unexpected: Error { let reason: VolumeIOError.Reason? }
