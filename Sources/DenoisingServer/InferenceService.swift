import InferenceProtocol
import VoxelSupport

/// Computes the windows of requests: as many at a time as there are threads.
struct InferenceService: Sendable {
    let model: any ServedModel
    let threads: Int
    let metrics = ServerMetrics()

    private let slots: ComputeSlots
    private let executor = ComputeExecutor()

    init(_ model: some ServedModel, threads: Int) {
        (self.model, self.threads) = (model, threads)
        slots = ComputeSlots(threads)
    }

    /// The types that inputs of floating-point numbers may have on the wire. Outputs have the type of the first of them.
    static let wireTypes: [TensorType] = [.f32, .f16, .bf16]

    /// The answer to a request.
    ///
    /// - Throws: ``RequestError`` where the request is not one that the model takes, and what the model throws.
    func answer(_ request: InferenceMessage) async throws -> InferenceMessage {
        let start = ContinuousClock.now
        let windows = try check(request)
        let inputs = Dictionary(uniqueKeysWithValues: request.tensors.map { ($0.name, $0.tensor) })
        metrics.wait(windows)
        let results = try await withThrowingTaskGroup(of: (Int, [String: Tensor]).self) { group in
            for window in 0..<windows {
                group.addTask(executorPreference: executor) {
                    try await slots.with {
                        try (window, compute(inputs.mapValues { $0.slice(axis: 0, window..<window + 1) }))
                    }
                }
            }
            var results = [[String: Tensor]?](repeating: nil, count: windows)
            for try await (window, result) in group { results[window] = result }
            return results.compactMap(\.self)
        }
        let type = request.tensors.lazy.map(\.type).first { Self.wireTypes.contains($0) } ?? .f32
        let wanted = request.requested?.map(\.name) ?? model.outputs.map(\.name)
        var answer = InferenceMessage()
        answer.id = request.id
        answer.tensors = wanted.map { name in
            InferenceTensor(
                name: name, type: type, tensor: Tensor.concatenated(results.map { $0[name]! }, axis: 0))
        }
        answer.parameters[ModelParameter.seconds] = .number((ContinuousClock.now - start) / .seconds(1))
        return answer
    }

    private func compute(_ inputs: [String: Tensor]) throws -> [String: Tensor] {
        metrics.start()
        let start = ContinuousClock.now
        var isComputed = false
        defer { metrics.finish(seconds: (ContinuousClock.now - start) / .seconds(1), isComputed: isComputed) }
        try Task.checkCancellation()
        let outputs: [String: Tensor]
        do { outputs = try model.predict(inputs) } catch is CancellationError {
            throw CancellationError()
        } catch {
            // Whatever else it throws, the request has been checked.
            throw ModelFailure(description: "\(error)")
        }
        for description in model.outputs {
            guard let output = outputs[description.name] else {
                throw ModelFailure(description: "the model returned no \(description.name)")
            }
            guard output.shape.first == 1, description.accepts(output.shape) else {
                throw ModelFailure(
                    description: "the model returned \(description.name) of the shape \(output.shape)")
            }
            guard output.values.allSatisfy(\.isFinite) else {
                throw ModelFailure(
                    description: "the model predicted NaN or infinity in \(description.name)")
            }
        }
        isComputed = true
        return outputs
    }

    /// Checks names, types, shapes and numbers; returns the number of windows.
    private func check(_ request: InferenceMessage) throws -> Int {
        let names = model.inputs.map(\.name)
        for tensor in request.tensors where !names.contains(tensor.name) {
            throw RequestError("the model has no input \(tensor.name); it has \(list(model.inputs))")
        }
        var windows: Int?
        for description in model.inputs {
            guard let input = request.tensors.first(where: { $0.name == description.name }) else {
                throw RequestError(
                    "the input \(description.name) is missing; the model has \(list(model.inputs))")
            }
            let (shape, type) = (input.tensor.shape, input.type.inferenceName)
            let takes = [description.datatype] + Self.wireTypes.map(\.inferenceName)
            guard takes.contains(type) else {
                throw RequestError(
                    "\(input.name) has the datatype \(type); expected one of "
                        + takes.joined(separator: ", "))
            }
            guard description.accepts(shape) else {
                throw RequestError(
                    "\(input.name) has the shape \(shape); expected \(description.shape), -1 standing for any")
            }
            guard shape.allSatisfy({ $0 > 0 }) else {
                throw RequestError("\(input.name) has the shape \(shape), with no numbers")
            }
            guard shape[0] == windows ?? shape[0] else {
                throw RequestError(
                    "\(input.name) has \(shape[0]) windows; expected \(windows ?? 0), as the other inputs have")
            }
            guard input.tensor.values.allSatisfy(\.isFinite) else {
                throw RequestError("\(input.name) has a number that is not finite")
            }
            windows = shape[0]
        }
        for output in request.requested ?? []
        where !model.outputs.contains(where: { $0.name == output.name }) {
            throw RequestError("the model has no output \(output.name); it has \(list(model.outputs))")
        }
        do {
            try model.check(
                Dictionary(uniqueKeysWithValues: request.tensors.map { ($0.name, $0.tensor.shape) }))
        } catch { throw RequestError("\(error)") }
        return windows ?? 0
    }

    private func list(_ tensors: [TensorDescription]) -> String {
        tensors.map(\.description).joined(separator: ", ")
    }
}

/// A request that the model does not take.
struct RequestError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A model that broke its promise.
struct ModelFailure: Error, CustomStringConvertible {
    let description: String
}
