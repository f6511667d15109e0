/// A convolution: `[batch, inputs, ...]` to `[batch, outputs, ...]`.
public struct Convolution: Layer {
    /// `[outputs, inputs, kernel...]`, one kernel extent for each spatial axis.
    public let weight: Parameter

    /// `[outputs]`.
    public let bias: Parameter

    /// Elements between neighbouring positions of the kernel, along every axis.
    public let stride: Int

    /// Zeros around the input, along every axis.
    public let padding: Int

    /// A convolution whose parameters are `path.weight` and `path.bias`.
    ///
    /// The padding is half the kernel, so that a stride of one keeps the size.
    ///
    /// - Parameters:
    ///   - path: what the parameters' names begin with.
    ///   - inputs: channels of the input.
    ///   - outputs: channels of the output.
    ///   - kernel: the kernel's extents, one for each spatial axis, equal and odd.
    ///   - stride: elements between neighbouring positions of the kernel.
    public init(_ path: String, inputs: Int, outputs: Int, kernel: [Int], stride: Int = 1) {
        precondition(kernel.allSatisfy { $0 == kernel[0] && $0 % 2 == 1 }, "the kernel \(kernel) has no middle")
        weight = Parameter("\(path).weight", [outputs, inputs] + kernel)
        bias = Parameter("\(path).bias", [outputs])
        self.stride = stride
        self.padding = kernel[0] / 2
    }

    /// The weight, then the bias.
    public var parameters: [Parameter] { [weight, bias] }

    /// `[batch, inputs, ...]` to `[batch, outputs, ...]`, every spatial extent divided by the stride.
    public func callAsFunction<A: LayerArithmetic>(_ x: A.Value, with arithmetic: A) -> A.Value {
        arithmetic.apply(self, to: x)
    }
}
