import Foundation
package import VoxelSupport

/// A request for an inference, or the answer to one: tensors, and a few facts about them.
///
/// On the wire it is a JSON object. With the binary extension the tensors' numbers follow the JSON as bytes, in the order
/// of the tensors, and the header `Inference-Header-Content-Length` says where the JSON ends.
package struct InferenceMessage: Sendable {
    /// Which list of the JSON has the tensors.
    package enum Kind: String, Sendable { case inputs, outputs }

    package var id: String?
    package var modelName: String?
    package var modelVersion: String?
    package var parameters: [String: JSONValue] = [:]
    package var tensors: [InferenceTensor] = []

    /// In a request: the outputs wanted, in order, each with whether it is wanted as bytes; nil for all.
    package var requested: [RequestedOutput]?

    package struct RequestedOutput: Sendable {
        package var name: String
        package var isBinary: Bool
        package init(name: String, isBinary: Bool) { (self.name, self.isBinary) = (name, isBinary) }
    }

    package init() {}

    /// The header that says how many bytes the JSON has.
    package static let lengthHeader = "Inference-Header-Content-Length"
}

/// A message that is not what the protocol says, or not what the model takes.
package struct InferenceMessageError: LocalizedError, CustomStringConvertible {
    package let description: String
    package var errorDescription: String? { description }
    package init(_ description: String) { self.description = description }
}

// MARK: Writing

extension InferenceMessage {
    /// The message's bytes, and how many of them are JSON where others follow.
    ///
    /// - Parameter isBinary: whether a tensor's numbers follow as bytes, by its name.
    /// - Throws: ``InferenceMessageError`` where a number is beyond its type's range, or not finite in JSON.
    package func encoded(
        as kind: Kind, isBinary: (String) -> Bool
    ) throws -> (bytes: [UInt8], jsonLength: Int?) {
        var header = Header<EncodedTensor>(id: id, modelName: modelName, modelVersion: modelVersion)
        header.parameters = parameters.isEmpty ? nil : parameters
        var binary: [InferenceTensor] = []
        var tensors: [EncodedTensor] = []
        for tensor in self.tensors {
            var encoded = EncodedTensor(
                name: tensor.name, shape: tensor.tensor.shape, datatype: tensor.type.inferenceName)
            if isBinary(tensor.name) {
                encoded.parameters = ["binary_data_size": .integer(tensor.byteCount)]
                binary.append(tensor)
            } else {
                guard tensor.tensor.values.allSatisfy(\.isFinite) else {
                    throw InferenceMessageError(
                        "\(tensor.name) has a number that is not finite, and JSON has none")
                }
                encoded.data = tensor.tensor.values
            }
            tensors.append(encoded)
        }
        switch kind {
        case .inputs:
            header.inputs = tensors
            header.outputs = requested?.map {
                EncodedTensor(name: $0.name, parameters: ["binary_data": .bool($0.isBinary)])
            }
        case .outputs: header.outputs = tensors
        }
        let json = try JSONEncoder().encode(header)
        let size = binary.reduce(json.count) { $0 + $1.byteCount }
        let bytes = try [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            var rest = UnsafeMutableRawBufferPointer(buffer)
            json.copyBytes(to: rest)
            rest = UnsafeMutableRawBufferPointer(rebasing: rest[json.count...])
            for tensor in binary {
                guard tensor.type.encode(tensor.tensor.values, into: rest) else {
                    throw InferenceMessageError(
                        "\(tensor.name) has a number that \(tensor.type.inferenceName) cannot represent")
                }
                rest = UnsafeMutableRawBufferPointer(rebasing: rest[tensor.byteCount...])
            }
            count = size
        }
        return (bytes, binary.isEmpty ? nil : json.count)
    }

    private struct EncodedTensor: Encodable {
        var name: String
        var shape: [Int]?
        var datatype: String?
        var parameters: [String: JSONValue]?
        var data: [Float]?
    }
}

// MARK: Reading

extension InferenceMessage {
    /// Reads a message. Sizes are checked, against one another and against the bytes that are there, before anything is
    /// allocated for them.
    ///
    /// - Parameters:
    ///   - bytes: the body.
    ///   - jsonLength: how many of them are JSON; nil for all.
    ///   - kind: which list has the tensors.
    /// - Throws: ``InferenceMessageError`` naming the field.
    package init(
        decoding bytes: UnsafeRawBufferPointer, jsonLength: Int?, as kind: Kind
    ) throws(InferenceMessageError) {
        let length = jsonLength ?? bytes.count
        guard (0...bytes.count).contains(length) else {
            throw InferenceMessageError(
                "\(Self.lengthHeader) is \(length), but the body has \(bytes.count) bytes")
        }
        let header = try Self.header(UnsafeRawBufferPointer(rebasing: bytes[..<length]))
        (id, modelName, modelVersion) = (header.id, header.modelName, header.modelVersion)
        parameters = header.parameters ?? [:]
        guard let list = kind == .inputs ? header.inputs : header.outputs else {
            throw InferenceMessageError("there is no field '\(kind.rawValue)'")
        }
        var rest = UnsafeRawBufferPointer(rebasing: bytes[length...])
        for tensor in list {
            guard !tensors.contains(where: { $0.name == tensor.name }) else {
                throw InferenceMessageError("the tensor \(tensor.name) is there twice")
            }
            tensors.append(try tensor.read(from: &rest))
        }
        guard rest.isEmpty else {
            throw InferenceMessageError("\(rest.count) bytes follow the last tensor")
        }
        guard kind == .inputs, let outputs = header.outputs else { return }
        requested = outputs.map { output in
            RequestedOutput(
                name: output.name, isBinary: output.parameters?["binary_data"] == .bool(true))
        }
    }

    private static func header(
        _ json: UnsafeRawBufferPointer
    ) throws(InferenceMessageError) -> Header<DecodedTensor> {
        do { return try JSONDecoder().decode(Header<DecodedTensor>.self, from: Data(json)) } catch {
            switch error {
            case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
                DecodingError.keyNotFound(_, let context), DecodingError.dataCorrupted(let context):
                let path = context.codingPath.reduce(into: "") { path, key in
                    path += key.intValue.map { "[\($0)]" } ?? (path.isEmpty ? "" : ".") + key.stringValue
                }
                throw InferenceMessageError((path.isEmpty ? "" : "\(path): ") + context.debugDescription)
            default: throw InferenceMessageError("the message is not JSON: \(error)")
            }
        }
    }
}

/// The JSON of a message, with its tensors as they are written or read.
private struct Header<Entry> {
    var id: String?
    var modelName: String?
    var modelVersion: String?
    var parameters: [String: JSONValue]?
    var inputs: [Entry]?
    var outputs: [Entry]?

    enum CodingKeys: String, CodingKey {
        case id, parameters, inputs, outputs
        case modelName = "model_name"
        case modelVersion = "model_version"
    }
}

extension Header: Encodable where Entry: Encodable {}
extension Header: Decodable where Entry: Decodable {}

private struct DecodedTensor: Decodable {
    var name: String
    var shape: [Int]?
    var datatype: String?
    var parameters: [String: JSONValue]?
    var data: TensorData?

    /// The numbers, from the JSON or from the front of the bytes that follow it.
    func read(from rest: inout UnsafeRawBufferPointer) throws(InferenceMessageError) -> InferenceTensor {
        guard let shape, shape.count <= 8, shape.allSatisfy({ $0 >= 0 }) else {
            throw InferenceMessageError("\(name): 'shape' must be a list of up to 8 sizes")
        }
        guard let datatype, let type = TensorType(inferenceName: datatype) else {
            throw InferenceMessageError(
                "\(name): 'datatype' is \(datatype ?? "missing"); expected one of "
                    + TensorType.allCases.map(\.inferenceName).joined(separator: ", "))
        }
        var count = 1
        for extent in shape {
            let (product, isTooLarge) = count.multipliedReportingOverflow(by: extent)
            guard !isTooLarge, product <= 1 << 40 else {
                throw InferenceMessageError("\(name): the shape \(shape) is too large")
            }
            count = product
        }
        let values: [Float]
        if let size = parameters?["binary_data_size"] {
            guard size == .integer(count * type.size), data == nil else {
                throw InferenceMessageError(
                    "\(name): 'binary_data_size' is \(size); expected \(count * type.size), which \(shape) takes, "
                        + "and no 'data'")
            }
            guard count * type.size <= rest.count else {
                throw InferenceMessageError(
                    "\(name): \(count * type.size) bytes were announced, and \(rest.count) are there")
            }
            values = type.floats(UnsafeRawBufferPointer(rebasing: rest[..<(count * type.size)]))
            rest = UnsafeRawBufferPointer(rebasing: rest[(count * type.size)...])
        } else {
            guard let data else {
                throw InferenceMessageError("\(name): neither 'data' nor 'binary_data_size' is there")
            }
            guard data.values.count == count else {
                throw InferenceMessageError(
                    "\(name): 'data' has \(data.values.count) numbers, and \(shape) takes \(count)")
            }
            values = data.values
        }
        return InferenceTensor(name: name, type: type, tensor: Tensor(shape: shape, values: values))
    }
}

/// A list of numbers, or nested lists of them, in the order of a tensor.
private struct TensorData: Decodable {
    var values: [Float]

    init(from decoder: any Decoder) throws {
        if let flat = try? decoder.singleValueContainer().decode([Float].self) {
            values = flat
            return
        }
        var container = try decoder.unkeyedContainer()
        values = []
        while !container.isAtEnd { values += try container.decode(TensorData.self).values }
    }
}

extension TensorType {
    /// The numbers in little-endian bytes.
    fileprivate func floats(_ bytes: UnsafeRawBufferPointer) -> [Float] {
        let count = bytes.count / size
        return [Float](unsafeUninitializedCapacity: count) { values, initialized in
            decode(bytes, stride: 1, into: UnsafeMutableBufferPointer(rebasing: values[..<count]))
            initialized = count
        }
    }
}
