/// What a server says of itself: `GET /v2`.
package struct ServerMetadata: Codable, Sendable {
    package var name: String
    package var version: String?
    package var extensions: [String]?

    package init(name: String, version: String, extensions: [String]) {
        (self.name, self.version, self.extensions) = (name, version, extensions)
    }

    /// The extension by which tensors travel as bytes behind the JSON.
    package static let binaryExtension = "binary_tensor_data"
}

/// What a server says of a model: `GET /v2/models/NAME`.
package struct ModelMetadata: Codable, Sendable {
    package var name: String
    package var versions: [String]?
    package var platform: String?
    package var inputs: [TensorDescription]
    package var outputs: [TensorDescription]
    /// What this package's own server adds, by ``ModelParameter``.
    package var parameters: [String: String]

    package init(
        name: String, versions: [String], platform: String, inputs: [TensorDescription],
        outputs: [TensorDescription], parameters: [String: String]
    ) {
        (self.name, self.versions, self.platform) = (name, versions, platform)
        (self.inputs, self.outputs, self.parameters) = (inputs, outputs, parameters)
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        name = try fields.decode(String.self, forKey: .name)
        versions = try? fields.decode([String].self, forKey: .versions)
        platform = try? fields.decode(String.self, forKey: .platform)
        inputs = try fields.decode([TensorDescription].self, forKey: .inputs)
        outputs = try fields.decode([TensorDescription].self, forKey: .outputs)
        // Other servers have parameters of their own, of any type.
        parameters = (try? fields.decode([String: String].self, forKey: .parameters)) ?? [:]
    }
}

/// The parameters that this package's own server gives a model beyond the protocol: a client that knows them needs no
/// description of the model.
package enum ModelParameter {
    /// N: slices on either side of a window's middle one.
    package static let radius = "radius"
    /// What predictions stand for.
    package static let predictionType = "prediction_type"
    /// What rows and columns must be divisible by.
    package static let sizeMultiple = "size_multiple"
    /// A fingerprint of everything that decides the bits of a prediction.
    package static let fingerprint = "fingerprint"
    /// The types that inputs may have on the wire, with commas between them.
    package static let datatypes = "datatypes"
    /// The number of windows computed at the same time.
    package static let threads = "threads"
    /// In an answer: the seconds from the request's last byte to the answer's first one.
    package static let seconds = "server_seconds"
}
