/// The operations that networks are written in.
///
/// Layers compute through a conformer and never on tensors directly, so a network is described once and can
/// be evaluated, differentiated or compiled by whoever conforms. `TensorArithmetic` is the plain conformer
/// that others are tested against: same shapes, and the same numbers to rounding.
///
/// Shapes are those of the `Tensor` methods of the same name, which define what each operation means.
public protocol LayerArithmetic {
    /// What flows between layers: a tensor, a node of a tape, a place in an arena.
    associatedtype Value

    /// The extent of each axis of a value.
    func shape(of x: Value) -> [Int]

    /// `x W^T + b`: `[..., inputs]` to `[..., outputs]`.
    func apply(_ layer: Linear, to x: Value) -> Value

    /// Convolution: `[batch, inputs, ...]` to `[batch, outputs, ...]`.
    func apply(_ layer: Convolution, to x: Value) -> Value

    /// Group normalisation of `[batch, channels, ...]`.
    func apply(_ layer: GroupNorm, to x: Value) -> Value

    /// Layer normalisation of `[..., width]`.
    func apply(_ layer: LayerNorm, to x: Value) -> Value

    /// The sigmoid linear unit, number by number.
    func silu(_ x: Value) -> Value

    /// The exact Gaussian error linear unit, number by number.
    func gelu(_ x: Value) -> Value

    /// Multi-head attention: `[batch, tokens, width]` attending to `[batch, context tokens, width]`.
    func attention(queries: Value, keys: Value, values: Value, heads: Int) -> Value

    /// Every spatial axis of `[batch, channels, ...]` averaged in pairs.
    func averagePooled(_ x: Value) -> Value

    /// Every element of `[batch, channels, ...]` repeated twice along each spatial axis.
    func upsampled(_ x: Value) -> Value

    /// `a + b`, of one shape.
    func sum(_ a: Value, _ b: Value) -> Value

    /// `a b`, number by number, of one shape.
    func product(_ a: Value, _ b: Value) -> Value

    /// `x + shift`: `[batch, channels, ...]` and `[batch, channels]`.
    func shifted(_ x: Value, by shift: Value) -> Value

    /// `x (1 + scale) + shift`: `[batch, channels, ...]`, and twice `[batch, channels]`.
    func modulated(_ x: Value, scale: Value, shift: Value) -> Value

    /// Values put one after the other along an axis.
    func concatenated(_ parts: [Value], axis: Int) -> Value

    /// The part of a value where the index along `axis` lies in `range`.
    func slice(_ x: Value, axis: Int, _ range: Range<Int>) -> Value

    /// The same numbers under another shape.
    func reshaped(_ x: Value, _ shape: [Int]) -> Value

    /// The last two axes exchanged.
    func transposed(_ x: Value) -> Value

    /// A part of a network that may be evaluated again when it is gone back through, so that what it computes on
    /// the way need not be kept: `body` of the values given. Whatever flows into `body` must be among them.
    func segment(_ inputs: [Value], _ body: @escaping ([Value]) -> Value) -> Value
}

extension LayerArithmetic {
    /// `body` of the inputs.
    public func segment(_ inputs: [Value], _ body: @escaping ([Value]) -> Value) -> Value { body(inputs) }
}

/// A network that can be compiled: what it computes from images and from inputs shared by many images.
public protocol CompilableNetwork: Layer {
    /// Channels of each image, all of one size.
    var imageChannels: [Int] { get }

    /// Shapes of the inputs that stay the same from image to image.
    var sharedShapes: [[Int]] { get }

    /// Evaluates the network.
    ///
    /// - Parameters:
    ///   - images: one `[1, channels, rows, columns]` for each of `imageChannels`.
    ///   - shared: one for each of `sharedShapes`.
    ///   - arithmetic: computes the layers.
    /// - Returns: `[1, channels, rows, columns]`.
    func callAsFunction<A: LayerArithmetic>(
        images: [A.Value], shared: [A.Value], with arithmetic: A
    ) -> A.Value
}
