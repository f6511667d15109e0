public import Networks
public import TensorFiles

/// A network that can be trained: whatever knows its parameters, gradients of a loss, and how to be evaluated.
///
/// `TrainableUNet` is the one that the package has.
///
/// ## Laws that a conformer keeps
/// - Results depend on what is given alone, to the bit: not on threads, and not on calls before.
public protocol TrainableNetwork: Sendable {
    /// Names and shapes of what is learned, in the order of weights files.
    var parameters: [Parameter] { get }

    /// What to write beside the parameters into a file that is a whole model.
    var metadata: [String: String] { get throws }

    /// The parameters that training begins with, a function of the seed.
    func initialParameters(seed: UInt64) -> ParameterSet

    /// The loss of a batch and its gradient with respect to every parameter.
    ///
    /// - Parameters:
    ///   - parameters: the network's, by name.
    ///   - batch: the inputs.
    ///   - loss: given the output, `[batch, 2N + 1, rows, columns]`, its value and gradient with respect to it.
    func gradients(
        of parameters: [String: Tensor], on batch: WindowBatch,
        loss: (Tensor) -> (value: Double, gradient: Tensor)
    ) throws -> (loss: Double, gradients: [String: Tensor])

    /// The network with these parameters: a function from batches to outputs, `[batch, 2N + 1, rows, columns]`.
    func evaluator(of parameters: [String: Tensor]) throws -> @Sendable (WindowBatch) throws -> Tensor
}

/// Windows of noisy slices and of their sources, as a network is given them.
public struct WindowBatch: Equatable, Sendable {
    /// x_t, `[batch, 2N + 1, rows, columns]`.
    public var noisy: Tensor
    /// y, of the same shape.
    public let source: Tensor
    /// t of each window.
    public var timesteps: [Float]
    /// The style key of each window, `[batch, 3, bins]`.
    public let keys: Tensor

    /// A batch.
    public init(noisy: Tensor, source: Tensor, timesteps: [Float], keys: Tensor) {
        (self.noisy, self.source, self.timesteps, self.keys) = (noisy, source, timesteps, keys)
    }
}
