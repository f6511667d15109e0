public import Foundation
public import Volumes

/// Why a latent translator could not be loaded, or a volume not be translated.
public enum LatentTranslationError: LocalizedError, Equatable, CustomStringConvertible {
    /// A file holds no weights of a latent translator.
    case noModel(file: String, reason: String)
    /// A file holds the first stage of the public code of 2024, whose translator is another one.
    case firstStageOf2024(file: String, parameter: String)
    /// A file has no first stage, and none was given.
    case noFirstStage(file: String)
    /// A file holds other parameters than the configuration needs.
    case parameters(file: String, part: String, missing: [String], extra: [String], misshapen: [Misshapen])
    /// A parameter is missing without which the sizes of a network are not known.
    case unknownNetwork(file: String, missing: String)
    /// Nothing states a field of the configuration that no parameter shows.
    case unstated(file: String, field: String, reason: String)
    /// A file has no weights of the kind that is wanted.
    case noSelection(file: String, wanted: String, found: [String])
    /// A parameter is not stored as floating-point numbers.
    case parameterType(file: String, parameter: String, found: String)
    /// Parameters share their numbers: together they are larger than the file.
    case sharedNumbers(file: String, size: Int, fileSize: Int)
    /// A parameter holds NaN or an infinity.
    case notFinite(file: String, parameter: String)
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

    /// A parameter whose shape is not the one that the configuration gives it.
    public struct Misshapen: Equatable, Sendable {
        /// The name in the file.
        public let name: String
        /// The shape in the file.
        public let found: [Int]
        /// The shape that the configuration gives it.
        public let expected: [Int]
    }

    /// The description.
    public var errorDescription: String? { description }

    /// What was found, what was expected and what to do; of long lists, the first ten.
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
        case .parameters(let file, let part, let missing, let extra, let misshapen):
            let lists = [
                Self.list("missing", missing), Self.list("not expected", extra),
                Self.list("misshapen", misshapen.map { "\($0.name) \($0.found), expected \($0.expected)" }),
            ]
            return "\(file): the parameters of the \(part) are not those of its configuration" + lists.joined()
        case .unknownNetwork(let file, let missing):
            return
                "\(file): there is no parameter \(missing), without which the network's sizes do not show; are "
                + "these the weights of a latent translator?"
        case .unstated(let file, let field, let reason):
            return """
                \(file): nothing states \(field), and \(reason); give it in a configuration file, for example \
                {"\(field)": 8} if it is 8
                """
        case .noSelection(let file, let wanted, let found):
            return
                "\(file): there are no '\(wanted)' weights; there are '\(found.joined(separator: "' and '"))'"
        case .parameterType(let file, let parameter, let found):
            return "\(file): parameter \(parameter) is stored as \(found); expected floating-point numbers"
        case .sharedNumbers(let file, let size, let fileSize):
            return
                "\(file): the parameters take \(size) bytes and the file has \(fileSize), so that some share their "
                + "numbers; expected each to have its own"
        case .notFinite(let file, let parameter):
            return "\(file): parameter \(parameter) holds NaN or an infinity; expected finite numbers"
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

    private static func list(_ title: String, _ items: [String]) -> String {
        guard !items.isEmpty else { return "" }
        let more = items.count > 10 ? ["... and \(items.count - 10) more"] : []
        return "\n\(items.count) \(title):" + (items.prefix(10) + more).map { "\n  \($0)" }.joined()
    }
}
