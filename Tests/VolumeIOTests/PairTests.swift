import Foundation
import TestSupport
import Testing
import VolumeIO
import Volumes

@Suite("Pairs of files") struct PairTests {
    private func write(_ bytes: [UInt8], _ name: String, in folder: URL) throws {
        try Data(name.lowercased().hasSuffix(".gz") ? gzip(bytes) : bytes).write(
            to: folder.appending(path: name))
    }

    /// Either file may be named, and either may be compressed.
    @Test(
        arguments: [1, 2],
        [("a.hdr", "a.img"), ("a.HDR", "a.IMG"), ("a.hdr.gz", "a.img.gz"), ("a.hdr", "a.img.gz")])
    func eitherFileIsNamed(version: Int, names: (String, String)) throws {
        var file = NIfTIBytes(version: version)
        (file.sformCode, file.rows) = (1, [[2, 0, 0, 1], [0, 2, 0, 2], [0, 0, 3, 3]])
        try withTemporaryFolder { folder in
            try write(file.pair.header, names.0, in: folder)
            try write(file.pair.voxels, names.1, in: folder)
            for name in [names.0, names.1] {
                let read = try VolumeFile(contentsOf: folder.appending(path: name))
                #expect(read.volume.voxels == (0..<24).map { Float($0) })
                #expect(read.header.version?.rawValue == version && read.warnings.isEmpty)
                #expect(read.volume.grid.affine == Affine(spacing: [2, 2, 3], translation: [1, 2, 3]))
            }
        }
    }

    @Test func aFileIsMissing() throws {
        func reason(_ url: URL) -> VolumeIOError.Reason? {
            #expect(throws: VolumeIOError.self) { try Volume(contentsOf: url) }?.reason
        }
        let file = NIfTIBytes()
        try withTemporaryFolder { folder in
            let (header, image) = (folder.appending(path: "a.hdr"), folder.appending(path: "a.img"))
            #expect(reason(header) == .missing && reason(image) == .missing)
            try write(file.pair.header, "a.hdr", in: folder)
            #expect(reason(header) == .missingPartner(image.path))
            #expect(reason(image) == .missing)
            try FileManager.default.moveItem(at: header, to: image)
            #expect(reason(image) == .missingPartner(header.path))
            try write(file.pair.header, "a.hdr", in: folder)
            try write(Array(file.voxels.dropLast()), "a.img", in: folder)
            #expect(reason(header) == .truncated(expectedBytes: 96, foundBytes: 95))
        }
    }

    /// A header of ANALYZE 7.5, with the fields of SPM: the voxel at the origin, and the ranges of intensities.
    private func analyze(
        origin: [Int16] = [0, 0, 0], isBigEndian: Bool = false,
        ranges: (stored: [Int32], scaled: [Float])? = nil
    ) -> (header: [UInt8], voxels: [UInt8]) {
        var file = NIfTIBytes()
        file.isBigEndian = isBigEndian
        (file.dim, file.pixdim) = ([4, 3, 5, 7, 1, 0, 0, 0], [0, 3, 2, 1, 0, 0, 0, 0])
        file.set((0..<105).map { Int16($0) }, dataType: 4)
        file.magic = [0, 0, 0, 0]
        file.dataOffset = 0
        var header = Array(file.bytes.prefix(348))
        func put<Number>(_ numbers: [Number], at offset: Int) {
            let bytes = numbers.flatMap { file.stored($0) }
            header.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        }
        put(origin, at: 253)
        if let ranges {
            put(ranges.scaled, at: 124)
            put(ranges.stored, at: 140)
        }
        return (header, file.voxels)
    }

    /// Affines of NiBabel's documentation.
    @Test(
        arguments: [
            ([0, 0, 0], [3, -4, -3]), ([3, 4, 5], [6, -6, -4]), ([7, 1, 1], [3, -4, -3]),
        ] as [([Int16], SIMD3<Double>)])
    func analyzeIsLAS(origin: [Int16], translation: SIMD3<Double>) throws {
        for isBigEndian in [false, true] {
            let pair = analyze(origin: origin, isBigEndian: isBigEndian)
            try withTemporaryFolder { folder in
                try write(pair.header, "a.hdr", in: folder)
                try write(pair.voxels, "a.img", in: folder)
                let url = folder.appending(path: "a.hdr")
                let file = try VolumeFile(contentsOf: url)
                #expect(file.volume.voxels == (0..<105).map { Float($0) })
                #expect(
                    file.volume.grid.affine
                        == Affine(columns: [-3, 0, 0], [0, 2, 0], [0, 0, 1], translation: translation))
                #expect(file.warnings == [.analyze] && file.header.version == nil)
                #expect("\(file.header)".hasPrefix("ANALYZE 7.5, 3 x 5 x 7 x 1, int16"))

                try write([1], "a.mat", in: folder)
                let matrix = folder.appending(path: "a.mat").path
                #expect(try NIfTIHeader(contentsOf: url).warnings == [.analyze, .unreadMatrix(path: matrix)])
            }
        }
    }

    /// As SPM 2 and NiBabel scale a file without a slope.
    @Test func analyzeIsScaledByItsRanges() throws {
        let pair = analyze(ranges: (stored: [110, 10], scaled: [0.8, 0.2]))
        try withTemporaryFolder { folder in
            try write(pair.header, "a.hdr", in: folder)
            try write(pair.voxels, "a.img", in: folder)
            let volume = try Volume(contentsOf: folder.appending(path: "a.img"))
            #expect(abs(volume.voxels[10] - 0.2) < 1e-6 && abs(volume.voxels[104] - 0.764) < 1e-6)
        }
    }

    @Test(arguments: ["b.hdr", "b.img", "b.img.gz"]) func pairsAreWritten(name: String) throws {
        let volume = Volume(grid: VoxelGrid(shape: [2, 3, 4]), voxels: (0..<24).map { Float($0) })
        try withTemporaryFolder { folder in
            let url = folder.appending(path: name)
            try volume.write(to: url, as: .uint8, version: .nifti2)
            let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
            #expect(names == (name.hasSuffix("gz") ? ["b.hdr.gz", "b.img.gz"] : ["b.hdr", "b.img"]))
            let file = try VolumeFile(contentsOf: url)
            #expect(file.volume == volume && file.header.voxelType == .uint8)
            if !name.hasSuffix("gz") {
                let header = Array(try Data(contentsOf: folder.appending(path: "b.hdr")))
                #expect(header.count == 544 && Array(header[4..<12]) == Array("ni2\0\r\n\u{1a}\n".utf8))
                #expect(
                    Array(try Data(contentsOf: folder.appending(path: "b.img"))) == (0..<24).map { UInt8($0) })
            }
        }
    }
}
