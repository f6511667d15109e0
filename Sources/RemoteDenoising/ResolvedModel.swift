import InferenceProtocol
import VolumeTranslation

/// A model as a server has it: what is sent for each of its inputs, and what comes back.
struct ResolvedModel: Equatable, Sendable {
    /// What an input holds.
    enum Role: Sendable { case noisy, source, joined, timestep, context }

    struct Input: Equatable, Sendable {
        let role: Role
        let description: TensorDescription
        let type: TensorType
    }

    let model: RemoteModel
    let inputs: [Input]
    let output: TensorDescription
    let radius: Int
    let predictionType: PredictionType
    let sizeMultiple: Int
    /// Number of bins of the style key; nil where the model takes none, or any number.
    let styleBins: Int?
    let settings: TranslationSettings?
    let runSettings: [RunSetting]
    /// Windows that the server computes at the same time, where it says so.
    var threads: Int?

    func has(_ role: Role) -> Bool { inputs.contains { $0.role == role } }

    /// Compares a server's metadata with what is expected.
    ///
    /// - Throws: ``RemoteDenoisingError/mismatch(server:reason:found:)``.
    init(_ model: RemoteModel, _ metadata: ModelMetadata, server: String) throws {
        func mismatch(_ reason: String) -> RemoteDenoisingError {
            let inputs = metadata.inputs.map(\.description).joined(separator: ", ")
            let outputs = metadata.outputs.map(\.description).joined(separator: ", ")
            return .mismatch(
                server: server, reason: reason,
                found: "model \(metadata.name) with inputs \(inputs), and outputs \(outputs)")
        }
        self.model = model
        let roles: [String: Role] = Dictionary(
            [
                (model.timestep, .timestep), (model.context, .context),
            ] + (model.joined.map { [($0, .joined)] } ?? [(model.noisy, .noisy), (model.source, .source)]),
            uniquingKeysWith: { $1 })
        let offered = (metadata.parameters[ModelParameter.datatypes] ?? "").split(separator: ",").map(
            String.init)
        inputs = try metadata.inputs.map { description in
            guard let role = roles[description.name] else {
                throw mismatch(
                    "expected inputs named \(roles.keys.sorted().joined(separator: ", ")) only, and "
                        + "'\(description.name)' is another; name what it holds in the model's description")
            }
            guard let type = TensorType(inferenceName: description.datatype) else {
                throw mismatch("the datatype of '\(description.name)' cannot be sent")
            }
            let takesAny = role != .timestep && type.isFloatingPoint
            let wire = takesAny ? model.datatype ?? type : type
            guard wire == type || offered.contains(wire.inferenceName) else {
                throw mismatch("expected '\(description.name)' to be \(wire.inferenceName)")
            }
            let writable: [TensorType] =
                role == .timestep ? [.f32, .f16, .bf16, .i64, .i32] : [.f32, .f16, .bf16]
            guard writable.contains(wire) else {
                throw mismatch(
                    "expected '\(description.name)' to be one of "
                        + writable.map(\.inferenceName).joined(separator: ", "))
            }
            return Input(role: role, description: description, type: wire)
        }
        guard let images = inputs.first(where: { [.source, .joined, .noisy].contains($0.role) }) else {
            throw mismatch("expected an input with slices: '\(model.joined ?? model.source)'")
        }
        guard let output = metadata.outputs.first(where: { $0.name == model.output }) else {
            throw mismatch("expected an output named '\(model.output)'")
        }
        self.output = output

        // [windows, 2N+1, rows, columns] or [windows, 1, 2N+1, rows, columns]; joined, twice as many channels.
        let shape = images.description.shape
        guard [4, 5].contains(shape.count) else {
            throw mismatch("expected '\(images.description.name)' to have 4 or 5 axes")
        }
        let channels = images.role == .joined && shape.count == 4 ? shape[1] / 2 : shape[shape.count - 3]
        let stated = model.radius ?? metadata.parameters[ModelParameter.radius].flatMap { Int($0) }
        guard let radius = stated ?? (channels > 0 ? channels / 2 : nil) else {
            throw mismatch("the server does not say how many slices a window has; state the radius")
        }
        guard RemoteModel.radii.contains(radius) else {
            throw mismatch("the radius is \(radius); expected \(RemoteModel.radii.text)")
        }
        for input in inputs where [.noisy, .source, .joined].contains(input.role) {
            let expected = Self.shape(
                of: input, slices: 2 * radius + 1, windows: -1, rows: -1, columns: -1)
            guard
                zip(input.description.shape, expected).dropFirst().allSatisfy({ $0 < 0 || $1 < 0 || $0 == $1 })
            else {
                throw mismatch("expected '\(input.description.name)' to have the shape \(expected)")
            }
        }
        for input in inputs where input.role == .context {
            guard input.description.shape.count == 3 else {
                throw mismatch("expected '\(input.description.name)' to have the shape [-1, 3, bins]")
            }
        }
        self.radius = radius
        let bins = inputs.first { $0.role == .context }?.description.shape[2] ?? -1
        styleBins = bins > 0 ? bins : nil
        let dependsOnNoisy = inputs.contains { $0.role == .noisy || $0.role == .joined }
        predictionType =
            model.predictionType
            ?? metadata.parameters[ModelParameter.predictionType].flatMap(PredictionType.init(rawValue:))
            ?? (dependsOnNoisy ? .gradient : .sample)
        sizeMultiple =
            model.sizeMultiple ?? metadata.parameters[ModelParameter.sizeMultiple].flatMap { Int($0) } ?? 1
        guard RemoteModel.sizeMultiples.contains(sizeMultiple) else {
            throw mismatch("the size multiple is \(sizeMultiple); expected \(RemoteModel.sizeMultiples.text)")
        }
        settings = try TranslationSettings(metadata: metadata.parameters, file: server)
        threads = metadata.parameters[ModelParameter.threads].flatMap { Int($0) }.map {
            min(max($0, 1), 1 << 16)
        }
        // Of this package's own engine the fingerprint is that of a local run, which a saved state may come from.
        var runSettings =
            metadata.parameters[ModelParameter.fingerprint].map {
                [RunSetting("fingerprint of the network", $0)]
            } ?? [
                RunSetting(
                    "model on the server",
                    "\(metadata.name) \(model.version ?? "") \(metadata.platform ?? "") "
                        + "\(metadata.inputs) \(metadata.outputs)")
            ]
        if images.type != .f32 {
            runSettings.append(RunSetting("datatype on the wire", images.type.inferenceName))
        }
        self.runSettings = runSettings
    }

    /// What tells it from the model of another server, or nil where nothing does.
    func difference(from other: ResolvedModel) -> String? {
        for (own, others) in zip(runSettings, other.runSettings) where own != others {
            return "\(own.name): \(own.value) and \(others.value)"
        }
        var same = other
        same.threads = threads
        return self == same ? nil : "inputs, outputs or settings"
    }

    /// The shape of an input of slices.
    static func shape(
        of input: Input, slices: Int, windows: Int, rows: Int, columns: Int
    ) -> [Int] {
        let sets = input.role == .joined ? 2 : 1
        return input.description.shape.count == 5
            ? [windows, sets, slices, rows, columns] : [windows, sets * slices, rows, columns]
    }

    /// The request for a batch of windows.
    ///
    /// - Throws: ``RemoteDenoisingError/input(reason:)`` where the windows do not fit what the server takes.
    func request(_ windows: SliceWindows, at timestep: Int, style: StyleKey?) throws -> InferenceMessage {
        var message = InferenceMessage()
        for input in inputs {
            let shape: [Int]
            var values: [Float] = []
            switch input.role {
            case .noisy, .source, .joined:
                shape = Self.shape(
                    of: input, slices: windows.slicesPerWindow, windows: windows.count, rows: windows.rows,
                    columns: windows.columns)
                values.reserveCapacity(shape.reduce(1, *))
                for index in 0..<windows.count {
                    let both =
                        model.joinsSourceFirst
                        ? [windows.source(index), windows.noisy(index)]
                        : [windows.noisy(index), windows.source(index)]
                    switch input.role {
                    case .noisy: values += windows.noisy(index)
                    case .source: values += windows.source(index)
                    default: both.forEach { values += $0 }
                    }
                }
            case .timestep:
                shape = [windows.count] + input.description.shape.dropFirst().map { _ in 1 }
                values = [Float](repeating: Float(timestep), count: windows.count)
            case .context:
                guard let style else {
                    throw RemoteDenoisingError.input(
                        reason: "the model takes a style key as '\(input.description.name)', and none is given")
                }
                shape = [windows.count, 3, style.bins]
                for _ in 0..<windows.count { values += style.tokens }
            }
            guard input.description.accepts(shape) else {
                throw RemoteDenoisingError.input(
                    reason: """
                        '\(input.description.name)' has the shape \(shape), but the server takes \
                        \(input.description.shape), -1 standing for any
                        """)
            }
            message.tensors.append(
                InferenceTensor(
                    name: input.description.name, type: input.type,
                    tensor: Tensor(shape: shape, values: values)))
        }
        return message
    }

    /// The prediction in an answer.
    ///
    /// - Throws: ``AnswerError`` where it is not one for these windows.
    func prediction(in answer: InferenceMessage, for windows: SliceWindows) throws -> [Float] {
        guard let found = answer.tensors.first(where: { $0.name == model.output }) else {
            throw AnswerError("it has no output '\(model.output)'")
        }
        let shape = found.tensor.shape
        let slices = windows.slicesPerWindow
        let expected =
            output.shape.count == 5
            ? [windows.count, 1, slices, windows.rows, windows.columns]
            : [windows.count, slices, windows.rows, windows.columns]
        guard shape == expected else {
            throw AnswerError("'\(model.output)' has the shape \(shape); expected \(expected)")
        }
        guard found.tensor.values.allSatisfy(\.isFinite) else {
            throw AnswerError("'\(model.output)' has NaN or an infinity")
        }
        return found.tensor.values
    }
}

/// An answer that is not what was asked for.
struct AnswerError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
