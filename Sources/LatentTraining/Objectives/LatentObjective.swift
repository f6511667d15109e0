import BridgeTraining
import LatentTranslation
import NetworkEngine
import Networks
import TensorFiles

/// The loss of a stage: what it trains, and its gradients.
protocol LatentObjective: Sendable {
    associatedtype Example

    /// What is trained, without the discriminator.
    var trained: [Parameter] { get }
    /// nil without.
    var discriminator: PatchDiscriminator? { get }

    /// The loss of a batch and its gradient.
    func callAsFunction(
        _ parameters: [String: Tensor], _ examples: [Example], in phase: LatentPhase, engine: NetworkGradients
    ) throws -> ObjectiveResult

    /// The discriminator's loss of a batch and its gradient; nil without one.
    func ofDiscriminator(
        _ parameters: [String: Tensor], _ examples: [Example], in phase: LatentPhase, engine: NetworkGradients
    ) throws -> ObjectiveResult?

    /// Numbers that are replaced before a step, by name; nil, the default, for none.
    ///
    /// - Parameters:
    ///   - parameters: those before the step.
    ///   - step: the number of steps that have been taken.
    ///   - examples: the first examples from the step on, of a number.
    func restarted(
        _ parameters: [String: Tensor], at step: Int, randomness: Randomness, engine: NetworkGradients,
        examples: (_ count: Int) throws -> [Example]
    ) throws -> [String: Tensor]?

    /// The loss of an example by a model, for validation.
    func loss(of example: Example, by model: LatentModel, in phase: LatentPhase) throws -> Double
}

extension LatentObjective {
    func restarted(
        _ parameters: [String: Tensor], at step: Int, randomness: Randomness, engine: NetworkGradients,
        examples: (_ count: Int) throws -> [Example]
    ) throws -> [String: Tensor]? { nil }
}

/// What takes part in a step, by its number.
struct LatentPhase {
    /// The discriminator.
    var isAdversarial = false
    /// The codebook.
    var quantises = true
}

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
