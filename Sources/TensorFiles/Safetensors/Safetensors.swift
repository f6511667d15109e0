import Foundation
import VoxelSupport

/// A file of named tensors in the safetensors format.
///
/// ```swift
/// let file = try Safetensors(contentsOf: weights)
/// let bias = try file.tensor("out.2.bias")
/// try Safetensors.write(["out.2.bias": bias], metadata: ["format": "pt"], to: copy)
/// ```
///
/// Opening a file reads its header alone, and each tensor is read when it is asked for. The header is checked in full on
/// opening, so a file that opens holds every tensor it names. It must not be changed in place while it is open: tensors may
/// then have other numbers, and one that is cut off is an error. `write` never does that, it puts a new file in its place.
///
/// Format: an unsigned 64-bit little-endian length, that many bytes of JSON, and the numbers, little-endian
/// with the last axis fastest (github.com/huggingface/safetensors, "Format"). Beyond the format, no more than
/// 32 axes, 2^19 tensors and 2^16 fields of metadata are read, so that no file takes long to refuse.
public struct Safetensors: TensorSource {
    private let path: String
    private let file: StoredFile
    private let header: SafetensorsHeader

    /// Opens a file and checks its header.
    ///
    /// - Throws: `SafetensorsError` where the file cannot be read, or breaks the format.
    public init(contentsOf url: URL) throws {
        path = url.path
        do {
            file = try StoredFile(contentsOf: url)
            header = try SafetensorsHeader(of: file)
        } catch let failure as StoredFile.Failure {
            throw SafetensorsError(file: path, problem: .unreadable(reason: failure.reason))
        } catch let problem as SafetensorsError.Problem {
            throw SafetensorsError(file: path, problem: problem)
        }
    }

    /// Opens a file at a path and checks its header.
    ///
    /// - Throws: as `init(contentsOf:)` of a URL does.
    public init(contentsOf path: String) throws { try self.init(contentsOf: URL(filePath: path)) }

    /// The file's own text, from its `__metadata__` field.
    public var metadata: [String: String] { header.metadata }

    /// How many tensors there are. O(1).
    public var count: Int { header.count }

    /// The names of the tensors, sorted. O(n log n).
    public var names: [String] { header.names }

    /// The shape of a tensor, or nil if it does not exist. O(log n).
    public func shape(of name: String) -> [Int]? { header.tensor(name)?.shape }

    /// The type as which a tensor is stored, or nil if it does not exist. O(log n).
    public func type(of name: String) -> TensorType? { header.tensor(name)?.type }

    /// A tensor, converted to `Float` if it is stored as another type. O(n).
    ///
    /// Numbers of F64, and whole numbers above 2^24, are rounded to the nearest `Float`.
    ///
    /// - Throws: `SafetensorsError` where the file has no tensor of that name, or cannot be read any more.
    public func tensor(_ name: String) throws -> Tensor {
        guard let tensor = header.tensor(name) else {
            throw SafetensorsError(file: path, problem: .missingTensor(name: name))
        }
        do { return try tensor.read(from: file) } catch {
            throw SafetensorsError(file: path, problem: .unreadable(reason: error.reason))
        }
    }
}

/// Why a safetensors file could not be read or written.
public struct SafetensorsError: LocalizedError, Equatable, CustomStringConvertible {
    /// The file.
    public let file: String

    /// What is wrong with it.
    public let problem: Problem

    /// What can be wrong with a file.
    public enum Problem: Error, Equatable {
        /// The file could not be opened.
        case unreadable(reason: String)
        /// The file could not be written; nothing is left under its name that was not there before.
        case unwritable(reason: String)
        /// The file is shorter than its header, or the header is longer than the format allows.
        case headerLength(found: UInt64, limit: Int)
        /// The header is not one JSON object in UTF-8 with the format's fields.
        case header(reason: String)
        /// Two tensors, or two fields of one, have the same name.
        case duplicateName(String)
        /// A tensor's numbers are of a type that is not read.
        case unsupportedType(tensor: String, type: String)
        /// An extent is negative, or the size is beyond what can be counted.
        case shape(tensor: String, found: [Int])
        /// A tensor begins after its end, or ends after the data.
        case offsets(tensor: String, found: [Int], dataLength: Int)
        /// The bytes between a tensor's offsets are not as many as its shape and type need.
        case byteCount(tensor: String, found: Int, expected: Int)
        /// A tensor does not begin where the one before it ends.
        case layout(tensor: String, begins: Int, expected: Int)
        /// There are bytes after the last tensor.
        case bytesLeftOver(Int)
        /// No tensor has this name.
        case missingTensor(name: String)
        /// A finite number of a tensor is beyond the range of the type as which it is to be written.
        case tooLarge(tensor: String, type: String)
        /// A tensor cannot be written under this name, which the format keeps for itself.
        case reservedName(String)
    }

    /// The description.
    public var errorDescription: String? { description }

    /// The file, what was found, and what was expected.
    public var description: String { "\(file): \(problem.explanation)" }
}

extension SafetensorsError.Problem {
    fileprivate var explanation: String {
        switch self {
        case .unreadable(let reason): "cannot be read: \(reason)"
        case .unwritable(let reason): "cannot be written: \(reason)"
        case .headerLength(let found, let limit):
            "the header is said to be \(found) bytes long, where at most \(limit) are possible; "
                + "this is not a safetensors file, or it was cut short"
        case .header(let reason): "the header is not that of a safetensors file: \(reason)"
        case .duplicateName(let name): "the header has two fields named '\(name.shortened)'"
        case .unsupportedType(let tensor, let type):
            "tensor '\(tensor.shortened)' is of type \(type.shortened); "
                + "expected one of \(TensorType.allCases.map(\.rawValue).joined(separator: ", "))"
        case .shape(let tensor, let found):
            "tensor '\(tensor.shortened)' has shape \(found); expected extents of 0 or more whose product can be counted"
        case .offsets(let tensor, let found, let dataLength):
            "tensor '\(tensor.shortened)' has data_offsets \(found); "
                + "expected a beginning and an end in this order, within \(dataLength) bytes of data"
        case .byteCount(let tensor, let found, let expected):
            "tensor '\(tensor.shortened)' has \(found) bytes of data; its shape and type need \(expected)"
        case .layout(let tensor, let begins, let expected):
            "tensor '\(tensor.shortened)' begins at byte \(begins) of the data; expected \(expected), where the one before "
                + "it ends: the format allows no overlaps and no holes"
        case .bytesLeftOver(let count):
            "\(count) bytes follow the last tensor; expected none: the file was not written whole"
        case .missingTensor(let name): "there is no tensor '\(name.shortened)'"
        case .tooLarge(let tensor, let type):
            "tensor '\(tensor.shortened)' holds a number that is too large for \(type); write it as F32"
        case .reservedName(let name):
            "no tensor can be named '\(name.shortened)': the format keeps that name for itself"
        }
    }
}
