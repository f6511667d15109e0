import Foundation

/// A file of named tensors in the safetensors format.
///
/// ```swift
/// let file = try Safetensors(contentsOf: weights)
/// let bias = try file.tensor("out.2.bias")
/// try Safetensors.write(["out.2.bias": bias], metadata: ["format": "pt"], to: copy)
/// ```
///
/// The file is mapped, not read: opening it costs its header alone, and each tensor is made when it is asked
/// for. The header is checked in full on opening, so a file that opens holds every tensor it names. It must
/// not be changed in place while it is open; `write` never does that, it puts a new file in its place.
///
/// Format: an unsigned 64-bit little-endian length, that many bytes of JSON, and the numbers, little-endian
/// with the last axis fastest (github.com/huggingface/safetensors, "Format"). Beyond the format, no more than
/// 32 axes, 2^19 tensors and 2^16 fields of metadata are read, so that no file takes long to refuse.
public struct Safetensors: TensorSource {
    private let path: String
    private let file: MappedFile
    private let header: SafetensorsHeader

    /// Opens a file and checks its header.
    ///
    /// - Throws: `SafetensorsError` where the file cannot be read, or breaks the format.
    public init(contentsOf url: URL) throws {
        path = url.path
        do {
            file = try MappedFile(contentsOf: url)
            header = try SafetensorsHeader(of: file)
        } catch let failure as MappedFile.Failure {
            throw SafetensorsError(file: path, problem: .unreadable(reason: failure.reason))
        } catch let problem as SafetensorsError.Problem {
            throw SafetensorsError(file: path, problem: problem)
        }
    }

    /// The file's own text, from its `__metadata__` field.
    public var metadata: [String: String] { header.metadata }

    /// How many tensors there are. O(1).
    public var count: Int { header.count }

    /// The names of the tensors, sorted. O(n log n).
    public var names: [String] { header.names }

    /// The shape of a tensor, or nil where the file has none of that name. O(log n).
    public func shape(of name: String) -> [Int]? { header.tensor(name)?.shape }

    /// The type as which a tensor is stored, or nil where the file has none of that name. O(log n).
    public func type(of name: String) -> TensorType? { header.tensor(name)?.type }

    /// A tensor, converted to `Float` where it is stored as something else. O(n).
    ///
    /// Numbers of F64, and whole numbers above 2^24, are rounded to the nearest `Float`.
    ///
    /// - Throws: `SafetensorsError` where the file has no tensor of that name.
    public func tensor(_ name: String) throws -> Tensor {
        guard let tensor = header.tensor(name) else {
            throw SafetensorsError(file: path, problem: .missingTensor(name: name))
        }
        return tensor.read(from: file)
    }
}
