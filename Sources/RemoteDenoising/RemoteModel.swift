public import Foundation
public import TensorFiles
public import VolumeTranslation
import VoxelSupport

/// A model on a server: its name there, and the names of its tensors.
///
/// The rest is what the server says of the model: types and shapes of tensors, and from them the number of slices in a
/// window. A tensor that the server does not list is not sent, so the defaults serve a network with or without style and
/// with or without x_t:
///
/// | input | shape | contents |
/// |---|---|---|
/// | ``noisy`` | [windows, 2N+1, rows, columns] | x_t, in [-1, 1] |
/// | ``source`` | [windows, 2N+1, rows, columns] | y, in [-1, 1] |
/// | ``joined`` | [windows, 2 (2N+1), rows, columns] | both, in place of the two above |
/// | ``timestep`` | [windows] or [windows, 1] | t, as a number of the type that the server lists |
/// | ``context`` | [windows, 3, bins] | the style key, the same for each window |
///
/// A model of volumes has one axis more: [windows, 1, 2N+1, rows, columns], or 2 in place of 1 where both are joined.
///
/// In a file it is JSON with the fields that differ from the defaults:
///
/// ```json
/// { "name": "pix2pix", "source": "input", "output": "output" }
/// ```
public struct RemoteModel: Codable, Equatable, Sendable {
    /// The model's name on the server.
    public var name = "denoiser"

    /// The version; nil for the one that the server chooses.
    public var version: String?

    /// The input of x_t.
    public var noisy = "x"

    /// The input of the source y.
    public var source = "y"

    /// The input of both as channels of one tensor; nil where they are apart.
    public var joined: String?

    /// Whether the source's channels come first in ``joined``.
    public var joinsSourceFirst = false

    /// The input of the timestep.
    public var timestep = "t"

    /// The input of the style key.
    public var context = "key"

    /// The output with the prediction.
    public var output = "out"

    /// The type of images and style keys on the wire: F32, F16 or BF16. Nil for what the server lists. Half-precision
    /// types halve the bytes and round the numbers.
    public var datatype: TensorType?

    /// N: slices on either side of a window's middle one; nil for what the server's shapes say.
    public var radius: Int?

    /// What predictions stand for; nil for what the server says, or else `sample` for a model without x_t and `gradient`
    /// for others.
    public var predictionType: PredictionType?

    /// What rows and columns must be divisible by; nil for what the server says, or else 1.
    public var sizeMultiple: Int?

    private enum CodingKeys: String, CodingKey {
        case name, version, noisy, source, joined, timestep, context, output, datatype, radius
        case joinsSourceFirst = "joins_source_first"
        case predictionType = "prediction_type"
        case sizeMultiple = "size_multiple"
    }

    /// A model of that name, with the default names of tensors.
    public init(_ name: String = "denoiser") { self.name = name }

    /// A one-step translator: a generator that maps the source to the target at once.
    public static func generator(_ name: String, source: String, output: String) -> RemoteModel {
        var model = RemoteModel(name)
        (model.source, model.output, model.predictionType) = (source, output, .sample)
        return model
    }

    /// Reads a model from a JSON file; fields that are missing have their defaults.
    ///
    /// - Throws: ``RemoteDenoisingError`` naming the file and the field.
    public init(contentsOf file: URL) throws {
        do {
            self = try JSONValue(contentsOf: file).decode(over: RemoteModel())
            try check()
        } catch let error as JSONFieldError {
            throw RemoteDenoisingError.modelDescription(file: file.path, reason: "\(error)")
        }
    }

    /// Reads a model from the JSON file at a path; see ``init(contentsOf:)-(URL)``.
    ///
    /// - Throws: ``RemoteDenoisingError`` naming the file and the field.
    public init(contentsOf path: String) throws { try self.init(contentsOf: URL(filePath: path)) }

    private func check() throws(JSONFieldError) {
        if let datatype, ![.f32, .f16, .bf16].contains(datatype) {
            throw JSONFieldError(
                field: "datatype", found: datatype.inferenceName, expected: "FP32, FP16 or BF16")
        }
        if let radius, !Self.radii.contains(radius) {
            throw JSONFieldError(field: "radius", found: "\(radius)", expected: Self.radii.text)
        }
        if let sizeMultiple, !Self.sizeMultiples.contains(sizeMultiple) {
            throw JSONFieldError(
                field: "size_multiple", found: "\(sizeMultiple)", expected: Self.sizeMultiples.text)
        }
    }

    /// What a radius and a size multiple may be, in a file and from a server.
    static let radii = 0...1024
    static let sizeMultiples = 1...1 << 16
}

extension ClosedRange<Int> {
    /// The range, for messages.
    var text: String { "\(lowerBound) to \(upperBound)" }
}

extension RemoteModel {
    /// Decodes a model. Types have the protocol's names.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        name = try fields.decode(String.self, forKey: .name)
        version = try fields.decodeIfPresent(String.self, forKey: .version)
        noisy = try fields.decode(String.self, forKey: .noisy)
        source = try fields.decode(String.self, forKey: .source)
        joined = try fields.decodeIfPresent(String.self, forKey: .joined)
        joinsSourceFirst = try fields.decode(Bool.self, forKey: .joinsSourceFirst)
        timestep = try fields.decode(String.self, forKey: .timestep)
        context = try fields.decode(String.self, forKey: .context)
        output = try fields.decode(String.self, forKey: .output)
        datatype = try fields.decodeIfPresent(String.self, forKey: .datatype).map { name in
            guard let type = TensorType(inferenceName: name) else {
                throw DecodingError(
                    at: [CodingKeys.datatype], found: "\"\(name)\"", expected: "FP32, FP16 or BF16")
            }
            return type
        }
        radius = try fields.decodeIfPresent(Int.self, forKey: .radius)
        predictionType = try fields.decodeIfPresent(PredictionType.self, forKey: .predictionType)
        sizeMultiple = try fields.decodeIfPresent(Int.self, forKey: .sizeMultiple)
    }

    /// Encodes the model.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(name, forKey: .name)
        try fields.encodeIfPresent(version, forKey: .version)
        try fields.encode(noisy, forKey: .noisy)
        try fields.encode(source, forKey: .source)
        try fields.encodeIfPresent(joined, forKey: .joined)
        try fields.encode(joinsSourceFirst, forKey: .joinsSourceFirst)
        try fields.encode(timestep, forKey: .timestep)
        try fields.encode(context, forKey: .context)
        try fields.encode(output, forKey: .output)
        try fields.encodeIfPresent(datatype?.inferenceName, forKey: .datatype)
        try fields.encodeIfPresent(radius, forKey: .radius)
        try fields.encodeIfPresent(predictionType, forKey: .predictionType)
        try fields.encodeIfPresent(sizeMultiple, forKey: .sizeMultiple)
    }
}
