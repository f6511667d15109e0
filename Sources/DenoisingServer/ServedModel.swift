public import InferenceProtocol

/// A model that a ``ModelServer`` serves: it maps the tensors of one window to others.
///
/// ```swift
/// struct Brightener: ServedModel {
///     let inputs = [TensorDescription(name: "y", shape: [-1, 1, -1, -1])]
///     let outputs = [TensorDescription(name: "out", shape: [-1, 1, -1, -1])]
///
///     func predict(_ inputs: [String: Tensor]) throws -> [String: Tensor] {
///         let source = inputs["y"]!
///         return ["out": Tensor(shape: source.shape, values: source.values.map { min(1, $0 + 0.1) })]
///     }
/// }
/// ```
///
/// A request has any number of windows along the first axis of every tensor. Each window is predicted on its own, so a
/// prediction does not depend on what else is in a request.
public protocol ServedModel: Sendable {
    /// The inputs. Shapes have the number of windows first, and -1 where any size is taken.
    var inputs: [TensorDescription] { get }

    /// The outputs, described as the inputs are.
    var outputs: [TensorDescription] { get }

    /// Further facts for clients, by name; those of this package know `radius`, `prediction_type`, `size_multiple`,
    /// `fingerprint` and `voxelbridge_translation`. None unless a conformer has them.
    var parameters: [String: String] { get }

    /// Checks the size of a window before anything is computed. Takes all unless a conformer says otherwise.
    ///
    /// - Parameter shapes: the shapes of the inputs, by name, which fit ``inputs``.
    /// - Throws: an error whose description says what is wrong; the client gets it.
    func check(_ shapes: [String: [Int]]) throws

    /// The outputs for one window. It is called by several threads at once, none of them of Swift's cooperative pool.
    ///
    /// - Parameter inputs: a tensor for each of ``inputs``, all finite, with 1 as the extent of the first axis.
    /// - Returns: a tensor for each of ``outputs``, with 1 as the extent of the first axis.
    func predict(_ inputs: [String: Tensor]) throws -> [String: Tensor]
}

extension ServedModel {
    /// None.
    public var parameters: [String: String] { [:] }

    /// Takes all.
    public func check(_ shapes: [String: [Int]]) throws {}
}
