import Networks
import TensorFiles

/// Layers on tensors, one operation after the other, on the calling thread.
public struct TensorArithmetic: LayerArithmetic, Sendable {
    private let parameters: [String: Tensor]

    /// Arithmetic with these parameters, by name.
    ///
    /// - Precondition: there is a parameter of the right shape for each layer that is applied.
    public init(parameters: [String: Tensor]) { self.parameters = parameters }

    private func tensor(_ parameter: Parameter) -> Tensor {
        guard let tensor = parameters[parameter.name] else {
            preconditionFailure("there is no parameter \(parameter.name)")
        }
        return tensor
    }

    /// The extent of each axis.
    public func shape(of x: Tensor) -> [Int] { x.shape }

    /// `Tensor.linear`: `[..., inputs]` to `[..., outputs]`.
    public func apply(_ layer: Linear, to x: Tensor) -> Tensor {
        x.linear(weight: tensor(layer.weight), bias: layer.bias.map(tensor))
    }

    /// `Tensor.convolved`: `[batch, inputs, ...]` to `[batch, outputs, ...]`.
    public func apply(_ layer: Convolution, to x: Tensor) -> Tensor {
        x.convolved(
            weight: tensor(layer.weight), bias: tensor(layer.bias), stride: layer.stride, padding: layer.padding
        )
    }

    /// `Tensor.groupNormalized` of `[batch, channels, ...]`.
    public func apply(_ layer: GroupNorm, to x: Tensor) -> Tensor {
        x.groupNormalized(
            groups: GroupNorm.groups, weight: tensor(layer.weight), bias: tensor(layer.bias),
            epsilon: layer.epsilon)
    }

    /// `Tensor.layerNormalized` of `[..., width]`.
    public func apply(_ layer: LayerNorm, to x: Tensor) -> Tensor {
        x.layerNormalized(weight: tensor(layer.weight), bias: tensor(layer.bias), epsilon: layer.epsilon)
    }

    /// `Tensor.silu`, number by number.
    public func silu(_ x: Tensor) -> Tensor { x.silu() }

    /// `Tensor.gelu`, number by number.
    public func gelu(_ x: Tensor) -> Tensor { x.gelu() }

    /// `Tensor.attention`: `[batch, tokens, width]`, keys and values `[batch, context tokens, width]`.
    public func attention(queries: Tensor, keys: Tensor, values: Tensor, heads: Int) -> Tensor {
        .attention(queries: queries, keys: keys, values: values, heads: heads)
    }

    /// `Tensor.averagePooled` of `[batch, channels, ...]`.
    public func averagePooled(_ x: Tensor) -> Tensor { x.averagePooled() }

    /// `Tensor.upsampled` of `[batch, channels, ...]`.
    public func upsampled(_ x: Tensor) -> Tensor { x.upsampled() }

    /// `a + b`, of one shape.
    public func sum(_ a: Tensor, _ b: Tensor) -> Tensor { a + b }

    /// `a * b`, number by number, of one shape.
    public func product(_ a: Tensor, _ b: Tensor) -> Tensor { a * b }

    /// `Tensor.shifted`: `[batch, channels, ...]` by `[batch, channels]`.
    public func shifted(_ x: Tensor, by shift: Tensor) -> Tensor { x.shifted(by: shift) }

    /// `Tensor.modulated`: `[batch, channels, ...]` by twice `[batch, channels]`.
    public func modulated(_ x: Tensor, scale: Tensor, shift: Tensor) -> Tensor {
        x.modulated(scale: scale, shift: shift)
    }

    /// `Tensor.concatenated` along an axis.
    public func concatenated(_ parts: [Tensor], axis: Int) -> Tensor { .concatenated(parts, axis: axis) }

    /// `Tensor.slice` along an axis.
    public func slice(_ x: Tensor, axis: Int, _ range: Range<Int>) -> Tensor { x.slice(axis: axis, range) }

    /// `Tensor.reshaped`: the same numbers.
    public func reshaped(_ x: Tensor, _ shape: [Int]) -> Tensor { x.reshaped(shape) }

    /// `Tensor.transposed`: the last two axes exchanged.
    public func transposed(_ x: Tensor) -> Tensor { x.transposed() }
}
