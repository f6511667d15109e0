package import TensorFiles

/// A tensor as the Open Inference Protocol describes it: its name, the type of its numbers, and its shape.
public struct TensorDescription: Codable, Equatable, Sendable, CustomStringConvertible {
    /// The name.
    public var name: String

    /// The type of its numbers on the wire, by the protocol's name, such as `FP32`.
    public var datatype: String

    /// The extent of each axis; -1 where any is taken. The first is the number of windows in a request.
    public var shape: [Int]

    /// A description.
    public init(name: String, datatype: String = "FP32", shape: [Int]) {
        (self.name, self.datatype, self.shape) = (name, datatype, shape)
    }

    /// Such as `x FP32 [-1, 3, -1, -1]`.
    public var description: String { "\(name) \(datatype) \(shape)" }

    /// Whether a tensor of a shape is one of these.
    package func accepts(_ shape: [Int]) -> Bool {
        shape.count == self.shape.count && zip(shape, self.shape).allSatisfy { $1 < 0 || $0 == $1 }
    }
}

/// A tensor with its name and the type that its numbers have on the wire.
package struct InferenceTensor: Sendable {
    package var name: String
    package var type: TensorType
    package var tensor: Tensor

    package init(name: String, type: TensorType, tensor: Tensor) {
        (self.name, self.type, self.tensor) = (name, type, tensor)
    }

    /// How many bytes its numbers take.
    var byteCount: Int { tensor.values.count * type.size }
}

extension TensorType {
    /// The type of one of the protocol's names, or nil of those that hold no numbers.
    package init?(inferenceName name: String) {
        guard let type = Self.allCases.first(where: { $0.inferenceName == name }) else { return nil }
        self = type
    }

    /// The name in the Open Inference Protocol.
    package var inferenceName: String {
        switch self {
        case .f64: "FP64"
        case .f32: "FP32"
        case .f16: "FP16"
        case .bf16: "BF16"
        case .i64: "INT64"
        case .i32: "INT32"
        case .i16: "INT16"
        case .i8: "INT8"
        case .u8: "UINT8"
        case .bool: "BOOL"
        }
    }
}
