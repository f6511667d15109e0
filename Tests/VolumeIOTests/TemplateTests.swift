import Foundation
import TestSupport
import Testing

@testable import VolumeIO
import Volumes

@Suite("Writing like another file") struct TemplateTests {
    /// Writes a file's volume like the file, and returns the bytes of the header that comes out.
    private func rewritten(
        _ file: NIfTIBytes, change: (Volume) -> Volume = { $0 }, text: String? = nil
    ) throws -> (bytes: [UInt8], header: NIfTIHeader) {
        try withTemporaryFolder { folder in
            let source = folder.appending(path: "source.nii")
            try Data(file.bytes).write(to: source)
            let read = try VolumeFile(contentsOf: source)
            let url = folder.appending(path: "copy.nii")
            try change(read.volume).write(to: url, like: read.header, text: text)
            return (Array(try Data(contentsOf: url)), try NIfTIHeader(contentsOf: url))
        }
    }

    private var source: NIfTIBytes {
        var file = NIfTIBytes()
        (file.sformCode, file.qformCode) = (4, 1)
        file.rows = [[2, 0, 0, -3], [0, 2, 0, 5], [0, 0, 2, 1]]
        (file.quaternion, file.quaternionOffset) = ([0.1, 0.2, 0.3], [-10, 20, 30.5])
        (file.pixdim, file.text, file.intentCode) = ([-1, 2, 2, 2, 7, 0, 0, 0], "as it was", 1002)
        return file
    }

    /// Forms that disagree, their codes, handedness, units and text stay, byte by byte.
    @Test func formsStayAsTheyAre() throws {
        for units: UInt8 in [2, 1 | 8, 3, 0] {
            var file = source
            file.units = units
            let copy = try rewritten(file) { $0.map { $0 / 3 } }
            let before = file.bytes
            for field in [68..<70, 76..<92, 123..<124, 148..<228, 252..<328] {
                #expect(Array(copy.bytes[field]) == Array(before[field]), "\(field), units \(units)")
            }
            #expect(copy.header.voxelType == .float32)
        }
        #expect(try rewritten(source, text: "new").header.text == "new")
    }

    /// What has no orientation gets none.
    @Test func noCodesStayNone() throws {
        var file = source
        (file.sformCode, file.qformCode) = (0, 0)
        let copy = try rewritten(file)
        #expect(copy.header.sformCode == 0 && copy.header.qformCode == 0)
        #expect(copy.header.warnings == [.noOrientation])
        // On another grid the position can only be kept with a code.
        let cut = try rewritten(file) { Volume(grid: VoxelGrid(shape: [1, 3, 4], affine: $0.grid.affine)) }
        #expect(cut.header.sformCode == 2 && cut.header.placement == .sform)
        #expect(cut.header.grid.orientation.description == "LAS")
    }

    @Test func onAnotherGridTheSpaceStays() throws {
        let grid = VoxelGrid(shape: [5, 4, 3], spacing: [1, 2, 3])
        let copy = try rewritten(source) { _ in Volume(grid: grid, repeating: 1) }
        #expect(copy.header.grid == grid)
        #expect(copy.header.sformCode == 4 && copy.header.qformCode == 4)
        #expect(copy.header.text == "as it was")
    }

    /// A form that cannot be used is not passed on.
    @Test func anUnusableFormIsDropped() throws {
        var file = source
        file.rows = [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
        let copy = try rewritten(file)
        #expect(copy.header.sformCode == 0 && copy.header.qformCode == 1)
        #expect(copy.header.warnings.isEmpty)
    }

    @Test(arguments: [1, 2], [false, true]) func extensionsStay(version: Int, isBigEndian: Bool) throws {
        var file = NIfTIBytes(version: version)
        (file.isBigEndian, file.sformCode) = (isBigEndian, 1)
        let comment = Array("a comment of 24 bytes...".utf8)
        file.extensionBytes =
            [1, 0, 0, 0] + file.stored(Int32(32)) + file.stored(Int32(6)) + comment + file.stored(Int32(16))
            + file.stored(Int32(40)) + Array("8 bytes.".utf8)
        let copy = try rewritten(file)
        #expect(copy.header.extensions.map(\.code) == [6, 40])
        #expect(copy.header.extensions.map(\.bytes) == [comment, Array("8 bytes.".utf8)])
        #expect(copy.header.version?.rawValue == version && copy.header.warnings.isEmpty)

        file.extensionBytes.replaceSubrange(36..<40, with: file.stored(Int32(17)))
        let damaged = try rewritten(file)
        #expect(damaged.header.extensions.map(\.code) == [6])
        let warnings = try withFile(file.bytes) { try NIfTIHeader(contentsOf: $0).warnings }
        #expect(warnings == [.damagedExtension(offset: (version == 1 ? 348 : 540) + 36)])
    }

    /// What is read back differs by half a step at most, and integers not at all.
    @Test(arguments: VoxelType.allCases) func everyType(type: VoxelType) async throws {
        try await withTemporaryFolder { folder in
            await checkLaw(cases: 40) { generator in
                let grid = RoundTripTests.grid(using: &generator)
                let name = ["v.nii", "v.nii.gz", "v.img"].randomElement(using: &generator)!
                let areIntegers = Bool.random(using: &generator)
                let low = Float.random(in: -1000...100, using: &generator)
                let high = low + Float.random(in: 0...1e4, using: &generator)
                let voxels = (0..<grid.count).map { _ in
                    areIntegers
                        ? Float(Int.random(in: 0...127, using: &generator))
                        : Float.random(in: low...high, using: &generator)
                }
                let url = folder.appending(path: name)
                let version = NIfTIHeader.Version.allCases.randomElement(using: &generator)!
                let volume = Volume(grid: grid, voxels: voxels)
                try volume.write(to: url, as: type, version: version)
                let file = try VolumeFile(contentsOf: url)
                try #require(file.header.voxelType == type && file.header.version == version)
                let difference = zip(file.volume.voxels, voxels).map { abs($0 - $1) }.max()!
                if areIntegers || !type.isInteger {
                    try #require(difference == 0)
                } else {
                    let range = volume.intensityRange
                    let bits = Double(8 * min(type.bytes, 4))
                    let step = Double(range.upperBound - range.lowerBound) / exp2(bits)
                    let rounding = 4 * max(abs(range.lowerBound), abs(range.upperBound)).ulp
                    try #require(Double(difference) <= 0.51 * step + Double(rounding))
                }
            }
        }
    }

    @Test func zeroStaysZero() throws {
        try withTemporaryFolder { folder in
            let volume = Volume(grid: VoxelGrid(shape: [3, 1, 1]), voxels: [0, 0.1, 0.7])
            for type in VoxelType.allCases where type.isInteger {
                let url = folder.appending(path: "v.nii")
                try volume.write(to: url, as: type)
                #expect(try Volume(contentsOf: url).voxels[0] == 0, "\(type)")
            }
        }
    }

    @Test func integersHaveNoNaN() throws {
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "v.nii")
            let volume = Volume(grid: VoxelGrid(shape: [3, 1, 1]), voxels: [0, .nan, .infinity])
            let error = #expect(throws: VolumeIOError.self) { try volume.write(to: url, as: .int16) }
            #expect(error?.reason == .notFiniteAsInteger(count: 2, dataType: "int16"))
            try volume.write(to: url, as: .float64)
            #expect(try VolumeFile(contentsOf: url).notFinite == 2)
        }
    }
}
