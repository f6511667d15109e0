import Foundation
import TestSupport
import Testing
@testable import VolumeIO
import Volumes

@Suite("Series") struct SeriesTests {
    /// Five volumes of 2 x 3 x 4 voxels, a tenth of a second apart; volume k is k, k + 10, k + 20 ...
    private var bytes: NIfTIBytes {
        var file = NIfTIBytes()
        (file.dim, file.sformCode) = ([4, 2, 3, 4, 5, 1, 1, 1], 1)
        (file.pixdim, file.units) = ([1, 1, 1, 1, 100, 0, 0, 0], 2 | 16)
        file.set((0..<5).flatMap { k in (0..<24).map { Int16(k + 10 * $0) } }, dataType: 4)
        return file
    }

    @Test(arguments: [false, true]) func volumesAreReadOneByOne(isCompressed: Bool) throws {
        try withFile(isCompressed ? gzip(bytes.bytes) : bytes.bytes) { url in
            let header = try NIfTIHeader(contentsOf: url)
            #expect(header.volumeCount == 5 && header.timeStep == 0.1)
            for index in [4, 0, 2] {
                let volume = try VolumeFile(contentsOf: url, volume: index).volume
                #expect(volume.voxels == (0..<24).map { Float(index + 10 * $0) })
            }
            var seen: [Int] = []
            try VolumeFile.forEach(in: url) { index, file in
                seen.append(index)
                #expect(file.volume.voxels[1] == Float(index + 10))
            }
            #expect(seen == [0, 1, 2, 3, 4])
            for index in [-1, 5] {
                let error = #expect(throws: VolumeIOError.self) {
                    try VolumeFile(contentsOf: url, volume: index)
                }
                #expect(error?.reason == .noSuchVolume(index: index, count: 5))
            }
            let scan = try VolumeScan(contentsOf: url)
            #expect(scan.range == 0...234)
        }
    }

    @Test func aSeriesIsTooShort() throws {
        let cut = Array(bytes.bytes.dropLast(10))
        let error = #expect(throws: VolumeIOError.self) {
            try withFile(cut) { try VolumeFile(contentsOf: $0, volume: 0) }
        }
        #expect(error?.reason == .truncated(expectedBytes: 592, foundBytes: 582))
    }

    /// The range is over finite voxels, and counts the others.
    @Test func aScanLeavesOutWhatIsNotFinite() throws {
        var file = NIfTIBytes()
        file.sformCode = 1
        file.set((0..<22).map { Float($0) + 5 } + [.nan, -.infinity], dataType: 16)
        let scan = try withFile(file.bytes) { try VolumeScan(contentsOf: $0) }
        #expect(scan.range == 5...26 && scan.notFinite == 2)
        let read = try withFile(file.bytes) { try VolumeFile(contentsOf: $0) }
        #expect(read.warnings == [.notFinite(count: 2)])
        file.set([Float](repeating: .nan, count: 24), dataType: 16)
        #expect(try withFile(file.bytes) { try VolumeScan(contentsOf: $0) }.range == nil)
    }

    /// A stream is read no further than to see whether it ends behind the voxels.
    @Test func noMoreIsDecompressedThanTheHeaderAsksFor() throws {
        let bytes = NIfTIBytes().bytes
        try withFile(gzip(bytes + [UInt8](repeating: 0, count: 10_000_000))) { url in
            var file = try OpenVolume(path: url.path)
            #expect(try file.readVolume(0).voxels == (0..<24).map { Float($0) })
            #expect(file.reader.position <= bytes.count + 1 << 16)
        }
    }

    @Test(arguments: ["s.nii", "s.nii.gz", "s.img"], [VoxelType.float32, .int16, .float64])
    func aSeriesIsWritten(name: String, type: VoxelType) throws {
        let grid = VoxelGrid(shape: [3, 2, 2], spacing: [2, 2, 2])
        func volume(_ k: Int) -> Volume { Volume(grid: grid, voxels: (0..<12).map { Float($0 * k) - 7 }) }
        try withTemporaryFolder { folder in
            let url = folder.appending(path: name)
            var writer = try VolumeSeriesWriter(to: url, grid: grid, count: 3, timeStep: 2.5, as: type)
            for k in 0..<3 { try writer.append(volume(k)) }
            #expect(!FileManager.default.fileExists(atPath: url.path))
            try writer.commit()
            let header = try NIfTIHeader(contentsOf: url)
            #expect(header.shape == [3, 2, 2, 3] && header.timeStep == 2.5 && header.voxelType == type)
            for k in 0..<3 { #expect(try VolumeFile(contentsOf: url, volume: k).volume == volume(k)) }

            // With the series as the template, the time step stays.
            let copy = folder.appending(path: "copy.nii")
            var again = try VolumeSeriesWriter(to: copy, grid: grid, count: 1, like: header)
            try again.append(volume(1))
            try again.commit()
            #expect(try NIfTIHeader(contentsOf: copy).timeStep == 2.5)
        }
    }

    @Test func whatDoesNotBelongToASeries() throws {
        let grid = VoxelGrid(shape: [2, 2, 2])
        let volume = Volume(grid: grid, repeating: 0.5)
        func reason(_ body: () throws -> Void) -> VolumeIOError.Reason? {
            #expect(throws: VolumeIOError.self, performing: body)?.reason
        }
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "s.nii")
            #expect(
                reason {
                    var writer = try VolumeSeriesWriter(to: url, grid: grid, count: 2)
                    try writer.append(volume)
                    try writer.commit()
                } == .wrongVolumeCount(found: 1, expected: 2))
            #expect(
                reason {
                    var writer = try VolumeSeriesWriter(to: url, grid: grid, count: 1)
                    for _ in 0..<2 { try writer.append(volume) }
                } == .wrongVolumeCount(found: 2, expected: 1))
            #expect(
                reason {
                    var writer = try VolumeSeriesWriter(to: url, grid: grid, count: 1)
                    try writer.append(Volume(grid: VoxelGrid(shape: [2, 2, 3])))
                } == .unequalShape(shape: [2, 2, 3], expected: [2, 2, 2]))
            for range in [nil, 0...0.4] as [ClosedRange<Float>?] {
                #expect(
                    reason {
                        var writer = try VolumeSeriesWriter(
                            to: url, grid: grid, count: 1, as: .int16, range: range)
                        try writer.append(volume)
                    } == .notRepresentable(low: 0.5, high: 0.5, dataType: "int16"))
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
            var writer = try VolumeSeriesWriter(to: url, grid: grid, count: 1, as: .int16, range: 0...2)
            try writer.append(volume)
            try writer.commit()
            #expect(abs(try VolumeFile(contentsOf: url, volume: 0).volume.voxels[0] - 0.5) < 2 / 65535)
        }
    }
}
