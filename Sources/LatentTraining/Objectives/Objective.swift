import BridgeTraining
import NetworkEngine
import Networks
import TensorFiles

/// The loss of a step, its parts by name, and its gradient.
struct ObjectiveResult {
    var loss = 0.0
    var parts: [String: Double] = [:]
    private let parameters: [Parameter]
    /// nil for zero.
    private var sum: ParameterSet?

    /// Zero, of some parameters.
    init(_ parameters: [Parameter]) { self.parameters = parameters }

    /// The gradient.
    var gradients: ParameterSet {
        get { sum ?? ParameterSet(parameters) }
        _modify {
            var gradients = sum.take() ?? ParameterSet(parameters)
            defer { sum = gradients }
            yield &gradients
        }
    }

    /// Adds an example's share of a part of the loss.
    mutating func add(_ value: Double, weight: Double, to part: String) {
        parts[part, default: 0] += value
        loss += weight * value
    }

    /// Adds the gradients of an example.
    mutating func add(_ others: [String: Tensor]) throws {
        let others = try ParameterSet(parameters) { name in
            others[name] ?? parameters.first { $0.name == name }.map { Tensor(shape: $0.shape) }
        }
        if sum == nil { sum = others } else { sum?.blend(1, 1, others) }
    }
}

/// A value of a tape, and the gradient of the loss with respect to it.
typealias Slope = (value: GradientTape.Value, gradient: Tensor)

extension GradientTape {
    /// The cycle through volumes: |D(S_a(q(E(D(z'))))) - x|, and where it acts, for a latent z' = S_b(z).
    ///
    /// - Parameters:
    ///   - there: z', the latent like the target's, modality b.
    ///   - source: a, the index of the source's modality.
    ///   - volume: x, the source.
    ///   - sizes: of the first stage.
    func cycleInVolume(
        from there: Value, to source: Int, volume: Tensor, _ sizes: AutoencoderConfiguration
    ) throws -> (value: Double, slope: Slope) {
        let decoder = LatentDecoder(sizes)
        let visited = try evaluate(LatentEncoder(sizes), images: [evaluate(decoder, images: [there])])
        let back = try evaluate(
            SpadeTranslator(sizes, target: source), images: [quantised(visited, by: Codebook(sizes)).quantised])
        let decoded = try evaluate(decoder, images: [back])
        let l1 = TrainingLoss.l1(tensor(decoded), target: volume)
        return (l1.value, (decoded, l1.gradient))
    }
}

extension Tensor {
    /// The tensor with every number times a factor. O(n).
    func scaled(by factor: Double) -> Tensor {
        let factor = Float(factor)
        return Tensor(shape: shape, values: values.map { factor * $0 })
    }

    /// The Euclidean norm, in double precision. O(n).
    var norm: Double { values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot() }
}

extension PatchDiscriminator {
    /// A discriminator of some settings.
    init(_ settings: LatentAdversarialSettings, inputs: Int, outputs: Int) {
        self.init(
            inputs: inputs, width: settings.width, layers: settings.layers, outputs: outputs,
            groups: settings.groups)
    }
}
