import Foundation
import TestSupport
import Testing
import VolumeIO
import Volumes

@Suite("Damaged files") struct FuzzTests {
    /// A small valid file with a field or a few bytes changed, perhaps cut, perhaps compressed.
    private func damagedFile(using generator: inout SeededGenerator) throws -> [UInt8] {
        var file = NIfTIBytes(version: Int.random(in: 1...2, using: &generator))
        file.isBigEndian = Bool.random(using: &generator)
        (file.sformCode, file.qformCode) = (Int.random(in: 0...2, using: &generator), 1)
        file.set((0..<24).map { Int16($0) }, dataType: 4)
        var bytes = file.bytes
        let headerBytes = file.version == 1 ? 348 : 540
        // What decides upon sizes: dim, datatype, bitpix, vox_offset, scaling, forms; and anything else.
        let fields =
            file.version == 1 ? [40..<56, 70..<74, 76..<124, 252..<328] : [12..<80, 104..<192, 344..<504]
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            let field =
                Bool.random(using: &generator) ? fields.randomElement(using: &generator)! : 0..<headerBytes
            let offset = Int.random(in: field, using: &generator)
            switch Int.random(in: 0..<3, using: &generator) {
            case 0: bytes[offset] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 1: bytes[offset] = .random(in: 0...255, using: &generator)
            default:
                let value: UInt8 = [0, 0x7F, 0x80, 0xFF].randomElement(using: &generator)!
                for i in offset..<min(offset + 8, field.upperBound) { bytes[i] = value }
            }
        }
        if Int.random(in: 0..<4, using: &generator) == 0 {
            bytes.removeLast(Int.random(in: 0...bytes.count, using: &generator))
        }
        guard Bool.random(using: &generator) else { return bytes }
        var compressed = try gzip(bytes)
        if Int.random(in: 0..<3, using: &generator) == 0 {
            compressed[Int.random(in: 0..<compressed.count, using: &generator)] ^=
                1 << UInt8.random(in: 0..<8, using: &generator)
        }
        return compressed
    }

    /// Each file is read or refused, and none becomes more voxels than it can hold bytes.
    @Test(.timeLimit(.minutes(5))) func readOrRefused() async {
        var (read, reasons) = (0, Set<String>())
        await checkLaw(cases: 8000) { generator in
            let bytes = try damagedFile(using: &generator)
            let result = try withFile(bytes) { url in
                _ = try? NIfTIHeader(contentsOf: url)
                return Result { () throws(VolumeIOError) in try VolumeFile(contentsOf: url) }
            }
            switch result {
            case .success(let file):
                read += 1
                try #require(file.volume.voxels.allSatisfy { !$0.isInfinite })
                try #require(file.volume.grid.count <= 1032 * bytes.count)
            case .failure(let error):
                reasons.insert(String("\(error.reason)".prefix(24)))
            }
        }
        #expect(read > 500)
        #expect(reasons.count >= 10)
        #expect(peakMemory() < 2 << 30)
    }

    /// A stream cut short whose header claims what such a file could just hold.
    @Test func aStreamThatEndsEarly() throws {
        var file = NIfTIBytes(version: 2)
        file.set([UInt8](repeating: 0, count: 10_000_000), dataType: 2)
        file.dim = [3, 10_000, 1000, 1, 1, 1, 1, 1]
        var compressed = try gzip(file.bytes)
        compressed.removeLast(100)
        let error = #expect(throws: VolumeIOError.self) {
            try withFile(compressed) { try Volume(contentsOf: $0) }
        }
        guard case .truncated(let expected, let found) = error?.reason else {
            throw Unexpected(reason: error?.reason)
        }
        #expect(expected == 10_000_544)
        #expect(found > 9_000_000 && found < expected)
    }

    /// The most memory that the program has held so far, in bytes.
    private func peakMemory() -> Int {
        let ownProcess: CInt = 0
        var usage = rusage()
        getrusage(ownProcess, &usage)
        return usage.ru_maxrss * 1024
    }
}
