/// One learned array of a network: what it is called in a weights file, and its shape.
public struct Parameter: Hashable, Sendable {
    /// The name in a weights file, such as `input_blocks.0.0.weight`.
    public let name: String

    /// The extent of each axis, as stored.
    public let shape: [Int]

    /// A parameter by its name and shape.
    public init(_ name: String, _ shape: [Int]) {
        self.name = name
        self.shape = shape
    }
}

/// A part of a network, described by its parameters and sizes alone.
///
/// A layer holds no numbers. It says what is computed, in terms of a `LayerArithmetic`, which says how and on
/// what: tensors for inference, recorded tensors for gradients, a planned arena, a device.
public protocol Layer: Sendable {
    /// The parameters, in the order in which they are used. No two have one name.
    var parameters: [Parameter] { get }
}
