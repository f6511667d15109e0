import Foundation

/// Named tensors that are read when they are asked for: a file, a part of one, or a dictionary.
///
/// ```swift
/// func total(of source: some TensorSource) throws -> Float {
///     try source.names.reduce(0) { try $0 + source.tensor($1).values.reduce(0, +) }
/// }
/// ```
///
/// For each name in `names`, and for no other, there is a shape and a type, and `tensor` gives a tensor of that
/// shape. A source never changes.
public protocol TensorSource: Sendable {
    /// How many tensors there are. O(1).
    var count: Int { get }

    /// The names of the tensors, sorted.
    var names: [String] { get }

    /// The shape of a tensor, or nil if it does not exist.
    func shape(of name: String) -> [Int]?

    /// The type as which a tensor's numbers are stored, or nil if it does not exist.
    func type(of name: String) -> TensorType?

    /// A tensor, converted to `Float` if it is stored as another type.
    ///
    /// - Throws: where there is no tensor of that name, or it cannot be read.
    func tensor(_ name: String) throws -> Tensor
}

/// Tensors in memory, by name.
extension [String: Tensor]: TensorSource {
    /// The names of the tensors, sorted.
    public var names: [String] { keys.sorted() }

    /// The shape of a tensor, or nil if it does not exist.
    public func shape(of name: String) -> [Int]? { self[name]?.shape }

    /// F32, or nil if it does not exist.
    public func type(of name: String) -> TensorType? { self[name].map { _ in .f32 } }

    /// A tensor.
    ///
    /// - Throws: `MissingTensor` if it does not exist.
    public func tensor(_ name: String) throws -> Tensor {
        guard let tensor = self[name] else { throw MissingTensor(name: name) }
        return tensor
    }
}

/// There is no tensor of a name.
public struct MissingTensor: LocalizedError, Equatable, CustomStringConvertible {
    /// The name.
    public let name: String

    /// There is no tensor of this name.
    public init(name: String) { self.name = name }

    /// The description.
    public var errorDescription: String? { description }

    /// Names the tensor.
    public var description: String { "there is no tensor '\(name)'" }
}
