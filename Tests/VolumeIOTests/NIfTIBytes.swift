import CNIfTI
import Foundation

/// The bytes of a NIfTI file, field by field, so that a test can make any file, right or wrong.
///
/// Offsets are those of the standard's tables (nifti1.h and nifti2.h).
struct NIfTIBytes {
    var version = 1
    var isBigEndian = false
    var headerSize: Int32?
    var magic: [UInt8]?
    var dim = [3, 2, 3, 4, 1, 1, 1, 1]
    var dataType: Int16 = 16
    var bitsPerVoxel: Int16 = 32
    var pixdim: [Double] = [1, 1, 1, 1, 0, 0, 0, 0]
    var dataOffset: Double?
    var slope = 0.0
    var intercept = 0.0
    var units: UInt8 = 2
    var qformCode = 0
    var sformCode = 0
    var quaternion = [0.0, 0, 0]
    var quaternionOffset = [0.0, 0, 0]
    var rows: [[Double]] = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
    var text = ""
    var intentCode = 0
    var extensionBytes: [UInt8] = [0, 0, 0, 0]
    var voxels: [UInt8] = []

    /// A file of 2 x 3 x 4 voxels with the values 0, 1, 2 ... 23.
    init(version: Int = 1) {
        self.version = version
        set((0..<24).map { Float($0) }, dataType: 16)
    }

    /// Stores numbers in the file's byte order.
    mutating func set<Number>(_ numbers: [Number], dataType: Int16) {
        let size = MemoryLayout<Number>.size
        self.dataType = dataType
        bitsPerVoxel = Int16(size * 8)
        let native = numbers.withUnsafeBytes { Array($0) }
        voxels = stride(from: 0, to: native.count, by: size).flatMap { ordered(native[$0..<$0 + size]) }
    }

    var bytes: [UInt8] {
        let start = (version == 1 ? 348 : 540) + extensionBytes.count
        var bytes = [UInt8](repeating: 0, count: start - extensionBytes.count)
        func put<Number>(_ number: Number, at offset: Int) {
            let native = withUnsafeBytes(of: number) { Array($0) }
            bytes.replaceSubrange(offset..<offset + native.count, with: ordered(native[...]))
        }
        func put(real: Double, at offset: Int, _ index: Int = 0) {
            version == 1
                ? put(Float(real), at: offset + 4 * index) : put(real, at: offset + 8 * index)
        }
        let one = version == 1
        put(headerSize ?? (one ? 348 : 540), at: 0)
        for (i, extent) in dim.enumerated() {
            one ? put(Int16(extent), at: 40 + 2 * i) : put(Int64(extent), at: 16 + 8 * i)
        }
        put(dataType, at: one ? 70 : 12)
        put(bitsPerVoxel, at: one ? 72 : 14)
        for (i, spacing) in pixdim.enumerated() { put(real: spacing, at: one ? 76 : 104, i) }
        let offset = dataOffset ?? Double(start)
        one ? put(Float(offset), at: 108) : put(Int64(offset), at: 168)
        put(real: slope, at: one ? 112 : 176)
        put(real: intercept, at: one ? 116 : 184)
        one ? put(units, at: 123) : put(Int32(units), at: 500)
        let description = Array(text.utf8.prefix(80))
        bytes.replaceSubrange((one ? 148 : 240)..<(one ? 148 : 240) + description.count, with: description)
        one ? put(Int16(qformCode), at: 252) : put(Int32(qformCode), at: 344)
        one ? put(Int16(sformCode), at: 254) : put(Int32(sformCode), at: 348)
        for i in 0..<3 {
            put(real: quaternion[i], at: one ? 256 : 352, i)
            put(real: quaternionOffset[i], at: one ? 268 : 376, i)
            for j in 0..<4 { put(real: rows[i][j], at: one ? 280 : 400, 4 * i + j) }
        }
        one ? put(Int16(intentCode), at: 68) : put(Int32(intentCode), at: 504)
        let signature = magic ?? (one ? Array("n+1\0".utf8) : Array("n+2\0\r\n\u{1a}\n".utf8))
        bytes.replaceSubrange((one ? 344 : 4)..<(one ? 344 : 4) + signature.count, with: signature)
        return bytes + extensionBytes + voxels
    }

    /// The two files of a pair: all up to the voxels, and the voxels.
    var pair: (header: [UInt8], voxels: [UInt8]) {
        var copy = self
        copy.magic = version == 1 ? Array("ni1\0".utf8) : Array("ni2\0\r\n\u{1a}\n".utf8)
        copy.dataOffset = 0
        return (Array(copy.bytes.dropLast(voxels.count)), voxels)
    }

    /// A number in the file's byte order.
    func stored<Number>(_ number: Number) -> [UInt8] { ordered(withUnsafeBytes(of: number) { Array($0) }[...]) }

    private func ordered(_ native: ArraySlice<UInt8>) -> [UInt8] {
        isBigEndian == (Int16(1).bigEndian == 1) ? Array(native) : native.reversed()
    }
}

/// The gzip stream of some bytes.
func gzip(_ bytes: [UInt8]) throws -> [UInt8] {
    let url = FileManager.default.temporaryDirectory.appending(path: "voxelbridge-\(UUID().uuidString).gz")
    defer { try? FileManager.default.removeItem(at: url) }
    var file = znzopen(url.path, "wb", 1)
    let written = znzwrite(bytes, 1, bytes.count, file)
    guard Xznzclose(&file) == 0, written == bytes.count else { throw CocoaError(.fileWriteUnknown) }
    return Array(try Data(contentsOf: url))
}

/// Puts bytes into a file of its own for as long as `body` runs.
func withFile<Result>(
    _ bytes: [UInt8], named name: String = "volume.nii", _ body: (URL) throws -> Result
) throws -> Result {
    let url = FileManager.default.temporaryDirectory.appending(path: "voxelbridge-\(UUID().uuidString)-\(name)")
    try Data(bytes).write(to: url)
    defer { try? FileManager.default.removeItem(at: url) }
    return try body(url)
}
