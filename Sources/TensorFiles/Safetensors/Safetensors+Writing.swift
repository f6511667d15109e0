import Foundation
import VoxelSupport

extension Safetensors {
    /// Writes tensors under their names, sorted, so that equal tensors give equal files.
    ///
    /// Tensors are read one at a time. The file is replaced only when it is complete and flushed to disk.
    ///
    /// - Parameters:
    ///   - tensors: a dictionary, or a file that is read piece by piece.
    ///   - metadata: text that the file is to carry.
    ///   - type: F32, or F16 or BF16, to which numbers are rounded: to nearest, ties to even.
    ///   - url: the file, which is replaced if it is there.
    /// - Throws: `SafetensorsError` where the file cannot be written, a tensor is named `__metadata__`, or a
    ///   number is too large for the type; what `tensors` throws where one cannot be read.
    public static func write(
        _ tensors: some TensorSource, metadata: [String: String] = [:], as type: TensorType = .f32, to url: URL
    ) throws {
        precondition([.f32, .f16, .bf16].contains(type), "\(type.rawValue) is not written")
        func failure(_ problem: SafetensorsError.Problem) -> SafetensorsError {
            SafetensorsError(file: url.path, problem: problem)
        }
        let names = tensors.names
        let header: Data
        do throws(SafetensorsError.Problem) {
            header = try encodedHeader(of: tensors, names, metadata: metadata, type)
        } catch { throw failure(error) }
        do {
            try AtomicFile.write(to: url) { file in
                try file.write(contentsOf: header)
                for name in names {
                    let tensor: Tensor
                    do { tensor = try tensors.tensor(name) } catch { throw SourceError(error: error) }
                    guard let bytes = type.encode(tensor.values) else {
                        throw failure(.tooLarge(tensor: name, type: type.rawValue))
                    }
                    try file.write(contentsOf: bytes)
                }
            }
        } catch let error as SafetensorsError {
            throw error
        } catch let error as SourceError {
            throw error.error
        } catch {
            throw failure(.unwritable(reason: error.explanation))
        }
    }

    /// Writes tensors to a path.
    ///
    /// - Throws: as `write(_:metadata:as:to:)` to a URL does.
    public static func write(
        _ tensors: some TensorSource, metadata: [String: String] = [:], as type: TensorType = .f32,
        to path: String
    ) throws { try write(tensors, metadata: metadata, as: type, to: URL(filePath: path)) }

    /// An error of reading a tensor, not of writing the file.
    private struct SourceError: Error {
        let error: any Error
    }

    /// The length and the JSON, filled up with spaces so that the numbers begin at a multiple of eight bytes.
    private static func encodedHeader(
        of tensors: some TensorSource, _ names: [String], metadata: [String: String], _ type: TensorType
    ) throws(SafetensorsError.Problem) -> Data {
        var fields = HeaderFields(tensors: [:], metadata: metadata)
        var end = 0
        for name in names {
            guard name != SafetensorsHeader.metadataField else { throw .reservedName(name) }
            let (start, shape) = (end, tensors.shape(of: name) ?? [])
            end += shape.reduce(type.size, *)
            fields.tensors[name] = HeaderFields.Tensor(
                dtype: type.rawValue, shape: shape, dataOffsets: [start, end])
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
}

/// A header as it is written.
private struct HeaderFields: Encodable {
    struct Tensor: Encodable {
        let dtype: String
        let shape: [Int]
        let dataOffsets: [Int]

        enum CodingKeys: String, CodingKey {
            case dtype, shape
            case dataOffsets = "data_offsets"
        }
    }

    var tensors: [String: Tensor]
    var metadata: [String: String]

    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Name.self)
        if !metadata.isEmpty { try fields.encode(metadata, forKey: Name(SafetensorsHeader.metadataField)) }
        for (name, tensor) in tensors { try fields.encode(tensor, forKey: Name(name)) }
    }

    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(_ name: String) { stringValue = name }
        init?(stringValue: String) { self.init(stringValue) }
        init?(intValue: Int) { nil }
    }
}
