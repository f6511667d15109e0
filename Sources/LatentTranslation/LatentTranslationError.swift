public import Foundation
public import Volumes

/// Why a latent translator could not be loaded, or a volume not be translated. `ParameterError` says what is
/// wrong with its parameters.
public enum LatentTranslationError: LocalizedError, Equatable, CustomStringConvertible {
    /// A file holds no weights of a latent translator.
    case noModel(file: String, reason: String)
    /// A file holds the first stage of the public code of 2024, whose translator is another one.
    case firstStageOf2024(file: String, parameter: String)
    /// A file has no first stage, and none was given.
    case noFirstStage(file: String)
    /// Nothing states a field of the configuration that no parameter shows.
    case unstated(file: String, field: String, reason: String)
    /// The noise schedule in a checkpoint is not one of those known.
    case schedule(file: String, reason: String)
    /// A denoiser and the first stage given for it do not fit together.
    case wrongFirstStage(denoiser: String, firstStage: String, field: String, found: Int, expected: Int)
    /// There is no target of this name or index.
    case noTarget(found: String, targets: [String])
    /// An input does not fit the model.
    case input(name: String, found: String, expected: String)
    /// No voxel of the volume is above 0.
    case noForeground
    /// Two percentiles of the intensities are equal.
    case noContrast(percentiles: [Double], intensity: Double)
    /// The reference is not on the source's grid.
    case referenceGrid(found: VoxelGrid, expected: VoxelGrid)

    /// The description.
    public var errorDescription: String? { description }

    /// What was found, what was expected and what to do.
    public var description: String {
        switch self {
        case .noModel(let file, let reason):
            return "\(file): these are not the weights of a latent translator: \(reason)"
        case .firstStageOf2024(let file, let parameter):
            return """
                \(file): parameter \(parameter) belongs to the first stage of the public code of 2024, whose \
                translator is another one and cannot be read; expected one of 2025 (spade.block.0.norm_0.spades.0 ...)
                """
        case .noFirstStage(let file):
            return """
                \(file): there is no first stage (encoder, decoder, translator) beside the denoiser; give its file, \
                in the tool with --first-stage
                """
        case .unstated(let file, let field, let reason):
            return """
                \(file): nothing states \(field), and \(reason); give it in a configuration file, for example \
                {"\(field)": 8} if it is 8
                """
        case .schedule(let file, let reason): return "\(file): the noise schedule: \(reason)"
        case .wrongFirstStage(let denoiser, let firstStage, let field, let found, let expected):
            return """
                \(firstStage): this is not the first stage of the denoiser in \(denoiser): found \(field) \(found); \
                expected \(expected)
                """
        case .noTarget(let found, let targets):
            let known = targets.enumerated().map { "\($0.element) (\($0.offset))" }.joined(separator: ", ")
            return "there is no target '\(found)'; the model has \(known)"
        case .input(let name, let found, let expected): return "\(name): found \(found); expected \(expected)"
        case .noForeground:
            return
                "no voxel is above 0; expected a volume whose background is 0 and whose foreground is above it"
        case .noContrast(let percentiles, let intensity):
            return """
                percentiles \(percentiles[0]) and \(percentiles[1]) of the intensities in the crop are both \
                \(intensity); expected a range of intensities
                """
        case .referenceGrid(let found, let expected):
            return "the reference has \(found); expected the source's grid, \(expected)"
        }
    }
}
