import InferenceProtocol
public import ReferenceUNet

/// A U-Net as a served model: inputs `x`, `y`, `t` and, where the network takes a style, `key`; output `out`.
public struct UNetModel: ServedModel {
    private let network: UNet
    private let predictionType: PredictionType
    private let maximumPixels: Int

    /// A model.
    ///
    /// - Parameters:
    ///   - network: the network.
    ///   - predictionType: what it was trained to predict; nil for what its file says, or else the gradient.
    ///   - maximumPixels: rows times columns of the largest slice that is taken: the memory of an evaluation grows with it.
    public init(_ network: UNet, predictionType: PredictionType? = nil, maximumPixels: Int = 512 * 512) {
        self.network = network
        self.predictionType = predictionType ?? network.translation?.predictionType ?? .gradient
        self.maximumPixels = maximumPixels
    }

    /// Noisy slices, source slices, timesteps and style keys.
    public var inputs: [TensorDescription] {
        let slices = [-1, network.configuration.outputChannels, -1, -1]
        let key = network.configuration.contextWidth.map {
            TensorDescription(name: "key", shape: [-1, UNetConfiguration.keyTokens, $0])
        }
        return [
            TensorDescription(name: "x", shape: slices), TensorDescription(name: "y", shape: slices),
            TensorDescription(name: "t", shape: [-1]),
        ] + [key].compactMap(\.self)
    }

    /// Predicted slices.
    public var outputs: [TensorDescription] {
        [TensorDescription(name: "out", shape: [-1, network.configuration.outputChannels, -1, -1])]
    }

    /// All that a client needs to translate with the network.
    public var parameters: [String: String] {
        var parameters = (try? network.translation?.metadata) ?? [:]
        parameters[ModelParameter.radius] = "\(network.configuration.radius)"
        parameters[ModelParameter.predictionType] = predictionType.rawValue
        parameters[ModelParameter.sizeMultiple] = "\(network.configuration.sizeMultiple)"
        parameters[ModelParameter.fingerprint] = network.fingerprint
        return parameters
    }

    /// Checks rows and columns.
    public func check(_ shapes: [String: [Int]]) throws {
        let (x, multiple) = (shapes["x"]!, network.configuration.sizeMultiple)
        guard shapes["y"] == x else {
            throw InferenceMessageError("x has the shape \(x) and y \(shapes["y"]!); expected the same")
        }
        guard x[2] > 0, x[3] > 0, x[2] % multiple == 0, x[3] % multiple == 0 else {
            throw InferenceMessageError(
                "slices of \(x[2]) x \(x[3]): rows and columns must be multiples of \(multiple)")
        }
        guard x[2] <= maximumPixels, x[3] <= maximumPixels / x[2] else {
            throw InferenceMessageError(
                "slices of \(x[2]) x \(x[3]): more than the \(maximumPixels) pixels that this server takes")
        }
    }

    /// The network's output.
    public func predict(_ inputs: [String: Tensor]) throws -> [String: Tensor] {
        [
            "out": try network(
                x: inputs["x"]!, y: inputs["y"]!, timesteps: inputs["t"]!.values, key: inputs["key"])
        ]
    }
}
