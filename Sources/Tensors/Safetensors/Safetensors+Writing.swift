import Foundation

extension Safetensors {
    /// Writes tensors as F32 under their names, sorted, so that equal tensors give equal files.
    ///
    /// The file appears under its name when it is whole and on the disk, and not before: it is written beside,
    /// flushed and renamed. Where that fails nothing new is left.
    ///
    /// - Throws: `SafetensorsError` where the file cannot be written, or a tensor is named `__metadata__`.
    public static func write(
        _ tensors: [String: Tensor], metadata: [String: String] = [:], to url: URL
    ) throws {
        let header: Data
        do throws(SafetensorsError.Problem) {
            header = try encodedHeader(of: tensors, metadata: metadata)
        } catch {
            throw SafetensorsError(file: url.path, problem: error)
        }
        let partial = url.deletingLastPathComponent()
            .appending(path: ".\(url.lastPathComponent).\(UUID().uuidString).partial")
        do {
            defer { try? FileManager.default.removeItem(at: partial) }
            try Data().write(to: partial, options: .withoutOverwriting)
            let file = try FileHandle(forWritingTo: partial)
            defer { try? file.close() }
            try file.write(contentsOf: header)
            for (_, tensor) in inOrder(tensors) { try file.write(contentsOf: littleEndianBytes(of: tensor)) }
            try file.synchronize()
            guard rename(partial.path, url.path) == 0 else {
                throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
            }
        } catch {
            throw SafetensorsError(file: url.path, problem: .unwritable(reason: error.localizedDescription))
        }
    }

    private static func inOrder(_ tensors: [String: Tensor]) -> [(key: String, value: Tensor)] {
        tensors.sorted { $0.key < $1.key }
    }

    /// The length and the JSON, filled up with spaces so that the numbers begin at a multiple of eight bytes.
    private static func encodedHeader(
        of tensors: [String: Tensor], metadata: [String: String]
    ) throws(SafetensorsError.Problem) -> Data {
        var fields = HeaderFields(tensors: [:], metadata: metadata)
        var end = 0
        for (name, tensor) in inOrder(tensors) {
            guard name != SafetensorsHeader.metadataField else { throw .reservedName(name) }
            let start = end
            end += tensor.count * SafetensorsType.f32.size
            fields.tensors[name] = HeaderFields.Tensor(
                dtype: SafetensorsType.f32.rawValue, shape: tensor.shape, dataOffsets: [start, end])
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard var json = try? encoder.encode(fields) else { throw .unwritable(reason: "a name is not text") }
        json.append(Data(repeating: UInt8(ascii: " "), count: (8 - json.count % 8) % 8))
        guard json.count <= SafetensorsHeader.longest else {
            throw .headerLength(found: UInt64(json.count), limit: SafetensorsHeader.longest)
        }
        return withUnsafeBytes(of: UInt64(json.count).littleEndian) { Data($0) } + json
    }

    private static func littleEndianBytes(of tensor: Tensor) -> Data {
        tensor.values.map { $0.bitPattern.littleEndian }.withUnsafeBytes { Data($0) }
    }
}
