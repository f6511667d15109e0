import Foundation
import VoxelSupport

/// A checkpoint as `torch.save` writes it (`.pth`, `.pt`, `.ckpt`), read without executing anything.
///
/// ```swift
/// let checkpoint = try PyTorchCheckpoint(contentsOf: URL(filePath: "ct2mri.pth"))
/// print(checkpoint.value() ?? .none)                      // dictionary(["ema", "epoch", "model", "step"])
/// if let weights = checkpoint.tensors(at: "ema") {
///     let bias = try weights.tensor("denoise_fn.out.2.bias")
/// }
/// ```
///
/// Such a file is a zip archive of a pickle, which is a program, and of the tensors' numbers. Of the program
/// only what makes tensors, numbers, text, dictionaries, lists and tuples is followed, and a call of anything else is
/// refused by its name; a name that is not called is skipped, as the classes in Lightning's checkpoints are. Opening it reads its
/// pickle and its directory, and tensors are read when they are asked for. Everything is checked on opening, so a checkpoint that opens holds every tensor it
/// names. The file must not be changed in place while it is open.
public struct PyTorchCheckpoint: Sendable {
    /// What a checkpoint holds at a place.
    public enum Value: Equatable, Sendable {
        /// `None`.
        case none
        /// `True` or `False`.
        case bool(Bool)
        /// A whole number.
        case integer(Int)
        /// A floating-point number.
        case number(Double)
        /// Text.
        case text(String)
        /// A list or tuple, by its number of values.
        case list(count: Int)
        /// A dictionary with these names, sorted. Keys that are not text are left out.
        case dictionary(names: [String])
        /// A tensor.
        case tensor(shape: [Int])
        /// A function, a type or a constant by its name: not a value by itself.
        case other
    }

    private let contents: Contents

    /// Opens a checkpoint.
    ///
    /// - Throws: `PyTorchError` if the file cannot be read, is not a checkpoint, or has unsupported contents.
    public init(contentsOf url: URL) throws {
        do {
            contents = try Contents(of: StoredFile(contentsOf: url), at: url.path)
        } catch let failure as StoredFile.Failure {
            throw PyTorchError(file: url.path, problem: .unreadable(reason: failure.reason))
        } catch let problem as PyTorchError.Problem {
            throw PyTorchError(file: url.path, problem: problem)
        }
    }

    /// Opens a checkpoint at a path.
    ///
    /// - Throws: as `init(contentsOf:)` of a URL does.
    public init(contentsOf path: String) throws { try self.init(contentsOf: URL(filePath: path)) }

    /// The value at a path of names through dictionaries, or nil where nothing does. Without names, the whole.
    public func value(at path: String...) -> Value? { contents.value(at: path) }

    /// The tensors that are values of one dictionary, or nil where there is no dictionary. Without names,
    /// the outermost one.
    ///
    /// Values that are not tensors are left out, and so are dictionaries inside the dictionary.
    public func tensors(at path: String...) -> PyTorchTensors? { PyTorchTensors(contents, at: path) }

    /// Whether a file begins as PyTorch's files do, of whichever version.
    package static func canRead(_ url: URL) -> Bool {
        guard let file = try? StoredFile(contentsOf: url),
            let start = try? file.bytes(0..<min(file.count, legacyMark.count))
        else { return false }
        return start.starts(with: zipMark) || start.starts(with: legacyMark)
    }

    fileprivate static let zipMark = [UInt8]("PK".utf8)

    /// A pickle of the number that marked files before version 1.6, in protocol 2.
    fileprivate static let legacyMark: [UInt8] = [
        0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19,
    ]
}

/// The tensors of one dictionary of a PyTorch checkpoint.
public struct PyTorchTensors: TensorSource {
    private let contents: Contents
    private let indices: [String: Int]

    fileprivate init?(_ contents: Contents, at path: [String]) {
        guard case .dictionary(let dictionary) = contents.find(path) else { return nil }
        self.contents = contents
        indices = contents.pickle.dictionaries[dictionary].compactMapValues {
            if case .tensor(let index) = $0 { index } else { nil }
        }
    }

    /// How many tensors there are. O(1).
    public var count: Int { indices.count }

    /// The names of the tensors, sorted.
    public var names: [String] { indices.keys.sorted() }

    /// The shape of a tensor, or nil if it does not exist. O(1).
    public func shape(of name: String) -> [Int]? { indices[name].map { contents.tensors[$0].shape } }

    /// The type as which a tensor is stored, or nil if it does not exist. O(1).
    public func type(of name: String) -> TensorType? { indices[name].map { contents.tensors[$0].type } }

    /// A tensor, converted to `Float` if it is stored as another type. O(n).
    ///
    /// - Throws: `PyTorchError` if it does not exist, or the file cannot be read any more.
    public func tensor(_ name: String) throws -> Tensor {
        guard let index = indices[name] else {
            throw PyTorchError(file: contents.path, problem: .missingTensor(name: name))
        }
        do { return try contents.tensors[index].read(from: contents.file) } catch {
            throw PyTorchError(file: contents.path, problem: .unreadable(reason: error.reason))
        }
    }
}

/// What a checkpoint's file holds, checked.
private final class Contents: Sendable {
    let path: String
    let file: StoredFile
    let pickle: Pickle
    let tensors: [StoredTensor]
    private let pickleBytes: [UInt8]

    init(of file: StoredFile, at path: String) throws {
        (self.file, self.path) = (file, path)
        let mark = PyTorchCheckpoint.legacyMark
        if file.count >= mark.count, try file.bytes(0..<mark.count) == mark {
            throw PyTorchError.Problem.legacy
        }
        let archive = try ArchiveFolder(try ZipArchive(file).entries, file)
        try PickleMachine.checkLength(archive.pickle.count)
        pickleBytes = try file.bytes(archive.pickle)
        pickle = try pickleBytes.withUnsafeBytes { try PickleMachine.read($0, fileLength: file.count) }
        tensors = try archive.tensors(of: pickle)
    }

    func find(_ path: [String]) -> Pickle.Value? {
        path.reduce(pickle.root) { value, name in
            guard case .dictionary(let index) = value else { return nil }
            return pickle.dictionaries[index][name]
        }
    }

    func value(at path: [String]) -> PyTorchCheckpoint.Value? {
        switch find(path) {
        case nil: nil
        case .none?: PyTorchCheckpoint.Value.none
        case .bool(let value)?: .bool(value)
        case .integer(let value)?: .integer(value)
        case .number(let value)?: .number(value)
        case .text(let start, let count)?:
            .text(String(decoding: pickleBytes[Int(start)..<Int(start) + Int(count)], as: UTF8.self))
        case .sequence(let index)?: .list(count: pickle.sequences[index].count)
        case .dictionary(let index)?: .dictionary(names: pickle.dictionaries[index].keys.sorted())
        case .tensor(let index)?: .tensor(shape: tensors[index].shape)
        case .function?, .storageType?, .storage?, .unresolved?: .other
        }
    }
}

/// The folder of a checkpoint's archive, which has the name that the file had when it was written.
private struct ArchiveFolder {
    let pickle: Range<Int>
    private let entries: [String: Range<Int>]
    private let folder: String

    init(_ entries: [String: Range<Int>], _ file: StoredFile) throws {
        let pickles = entries.filter { $0.key.hasSuffix("/data.pkl") }
        guard pickles.count == 1, let (name, place) = pickles.first else {
            throw PyTorchError.Problem.archive(reason: "it has \(pickles.count) entries data.pkl; expected one")
        }
        (pickle, self.entries, folder) = (place, entries, String(name.dropLast("data.pkl".count)))
        // Files from before version 2 do not say, and are those of little-endian machines.
        if let place = entries["\(folder)byteorder"],
            try file.bytes(place.prefix(7).indices) != Array("little".utf8)
        {
            throw PyTorchError.Problem.entry(
                name: "\(folder)byteorder", reason: "the numbers are not little-endian; save the file again")
        }
    }

    /// Where the numbers of each tensor lie.
    func tensors(of pickle: Pickle) throws -> [StoredTensor] {
        let storages = try pickle.storages.map { storage in
            let name = "\(folder)data/\(storage.key)"
            guard let place = entries[name] else {
                throw PyTorchError.Problem.entry(name: name, reason: "it is missing, and tensors need it")
            }
            let (size, overflow) = storage.count.multipliedReportingOverflow(by: storage.type.size)
            guard !overflow, size == place.count else {
                throw PyTorchError.Problem.entry(
                    name: name,
                    reason: "it has \(place.count) bytes; expected \(storage.count) numbers of "
                        + "\(storage.type.size) bytes")
            }
            return place
        }
        return try pickle.tensors.map { tensor in
            let storage = pickle.storages[tensor.storage]
            guard tensor.fits(in: storage.count) else {
                throw PyTorchError.Problem.tensor(
                    name: "\(folder)data/\(storage.key)",
                    reason:
                        "shape \(tensor.shape), strides \(tensor.strides) and offset \(tensor.offset) do not fit "
                        + "in its storage of \(storage.count) numbers; expanded tensors must be saved contiguous"
                )
            }
            return StoredTensor(
                type: storage.type, shape: tensor.shape, strides: tensor.strides,
                offset: storages[tensor.storage].lowerBound + tensor.offset * storage.type.size)
        }
    }
}

extension Pickle.Tensor {
    /// Whether every number lies within a storage of `count`, and there are no more of them than that: a tensor
    /// that repeats its numbers could be of any size.
    fileprivate func fits(in count: Int) -> Bool {
        guard offset >= 0, shape.allSatisfy({ $0 >= 0 }), strides.allSatisfy({ $0 >= 0 }) else { return false }
        var (numbers, last, isEmpty) = (1, offset, false)
        for (extent, stride) in zip(shape, strides) {
            // Empty axes count as one number: that no order of the extents overflows later.
            isEmpty = isEmpty || extent == 0
            let (product, tooMany) = numbers.multipliedReportingOverflow(by: max(1, extent))
            let (reach, tooLong) = (max(1, extent) - 1).multipliedReportingOverflow(by: stride)
            let (sum, tooFar) = last.addingReportingOverflow(reach)
            guard !tooMany, !tooLong, !tooFar else { return false }
            (numbers, last) = (product, sum)
        }
        return isEmpty ? offset <= count : last < count && numbers <= count
    }
}

/// Why a PyTorch checkpoint could not be read.
public struct PyTorchError: LocalizedError, Equatable, CustomStringConvertible {
    /// The file.
    public let file: String

    /// What is wrong with it.
    public let problem: Problem

    /// What can be wrong with a file.
    public enum Problem: Error, Equatable {
        /// The file could not be opened.
        case unreadable(reason: String)
        /// The file is of the format that PyTorch wrote before version 1.6.
        case legacy
        /// The file is not a zip archive as PyTorch writes it.
        case archive(reason: String)
        /// An entry of the archive is not as PyTorch writes it.
        case entry(name: String, reason: String)
        /// The pickle names something that is neither a tensor nor plain data. It was not executed.
        case forbidden(name: String)
        /// The pickle is not one that PyTorch writes, or needs more memory than any checkpoint does.
        case pickle(reason: String, byte: Int)
        /// A tensor's numbers do not lie within its storage.
        case tensor(name: String, reason: String)
        /// No tensor has this name.
        case missingTensor(name: String)
    }

    /// The description.
    public var errorDescription: String? { description }

    /// The file, what was found, and what was expected.
    public var description: String { "\(file): \(problem.explanation)" }
}

extension PyTorchError.Problem {
    fileprivate var explanation: String {
        switch self {
        case .unreadable(let reason): "cannot be read: \(reason)"
        case .legacy:
            "the file is of the format that PyTorch wrote before version 1.6; load it and save it again with PyTorch 1.6 "
                + "or later: torch.save(torch.load(old, weights_only=True), new)"
        case .archive(let reason): "this is not a checkpoint as PyTorch saves it: \(reason)"
        case .entry(let name, let reason): "entry '\(name.shortened)' of the archive: \(reason)"
        case .forbidden(let name):
            "the file asks for '\(name.shortened)', which is neither a tensor nor plain data, and is not executed; save the "
                + "weights alone: torch.save({'model': model.state_dict()}, new)"
        case .pickle(let reason, let byte): "data.pkl at byte \(byte): \(reason)"
        case .tensor(let name, let reason): "tensor '\(name.shortened)': \(reason)"
        case .missingTensor(let name): "there is no tensor '\(name.shortened)'"
        }
    }
}
