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
/// with the last axis fastest (github.com/huggingface/safetensors, "Format").
public struct Safetensors: Sendable {
    /// The file's own text, from its `__metadata__` field.
    public let metadata: [String: String]

    private let file: String
    private let entries: [String: SafetensorsHeader.Entry]
    private let data: Data

    /// Opens a file and checks its header.
    ///
    /// - Throws: `SafetensorsError` where the file cannot be read, or breaks the format.
    public init(contentsOf url: URL) throws {
        file = url.path
        // Foundation reads the whole file for `mappedIfSafe` on some platforms.
        do { data = try Data(contentsOf: url, options: .alwaysMapped) } catch {
            throw SafetensorsError(file: file, problem: .unreadable(reason: error.localizedDescription))
        }
        let header: SafetensorsHeader
        do throws(SafetensorsError.Problem) { header = try SafetensorsHeader(of: data) } catch {
            throw SafetensorsError(file: file, problem: error)
        }
        (entries, metadata) = (header.entries, header.metadata)
    }

    /// The names of the tensors, sorted.
    public var names: [String] { entries.keys.sorted() }

    /// The shape of a tensor, or nil where the file has none of that name. O(1).
    public func shape(of name: String) -> [Int]? { entries[name]?.shape }

    /// A tensor, converted to `Float` where it is stored as something else. O(n).
    ///
    /// Numbers of F64, and whole numbers above 2^24, are rounded to the nearest `Float`.
    ///
    /// - Throws: `SafetensorsError` where the file has no tensor of that name.
    public func tensor(_ name: String) throws -> Tensor {
        guard let entry = entries[name] else {
            throw SafetensorsError(file: file, problem: .missingTensor(name: name))
        }
        return data.withUnsafeBytes { bytes in
            let source = UnsafeRawBufferPointer(rebasing: bytes[entry.bytes])
            return Tensor(shape: entry.shape) { entry.type.decode(source, into: $0) }
        }
    }
}
