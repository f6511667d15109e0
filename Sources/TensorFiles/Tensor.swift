/// An array of numbers in any number of dimensions, the last one fastest.
///
/// ```swift
/// let image = Tensor(shape: [1, 3, 64, 48])           // [batch, channels, rows, columns], zeros
/// let weight = Tensor(shape: [8, 3, 3, 3], values: numbers)
/// try Safetensors.write(["image": image, "weight": weight], to: file)
/// ```
///
/// Images are `[batch, channels, rows, columns]` (NCHW) and volumes `[batch, channels, slices, rows, columns]`
/// (NCDHW). A tensor is a value. Copies share their storage until one of them is changed.
public struct Tensor: Equatable, Sendable {
    /// The extent of each axis. A single number has no axes.
    public let shape: [Int]

    /// The numbers, last axis fastest. Its count is the product of the shape.
    public var values: [Float] {
        didSet { precondition(values.count == count, "\(values.count) values cannot fill \(shape)") }
    }

    /// A tensor from its numbers, last axis fastest.
    ///
    /// - Precondition: no extent is negative, and there are as many values as the shape holds.
    public init(shape: [Int], values: [Float]) {
        precondition(shape.allSatisfy { $0 >= 0 }, "an extent of \(shape) is negative")
        precondition(values.count == shape.reduce(1, *), "\(values.count) values cannot fill \(shape)")
        self.shape = shape
        self.values = values
    }

    /// A tensor with every number at `value`.
    public init(shape: [Int], repeating value: Float = 0) {
        self.init(shape: shape, values: [Float](repeating: value, count: shape.reduce(1, *)))
    }

    /// A tensor whose numbers `fill` writes, every one of them, into storage that holds nothing yet.
    package init(shape: [Int], fill: (UnsafeMutableBufferPointer<Float>) -> Void) {
        let count = shape.reduce(1, *)
        let values = [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
            fill(UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
            initialized = count
        }
        self.init(shape: shape, values: values)
    }

    /// How many numbers there are.
    public var count: Int { shape.reduce(1, *) }

    /// The number at one index for each axis. O(rank).
    public subscript(indices: Int...) -> Float {
        get { values[offset(indices)] }
        set { values[offset(indices)] = newValue }
    }

    private func offset(_ indices: [Int]) -> Int {
        precondition(indices.count == shape.count, "\(indices) does not index \(shape)")
        return zip(indices, shape).reduce(0) { offset, axis in
            precondition((0..<axis.1).contains(axis.0), "\(indices) lies outside \(shape)")
            return offset * axis.1 + axis.0
        }
    }
}
