public import Foundation
import VoxelSupport

/// How the intensities of a modality are scaled to [0, 1].
///
/// One description serves preparation, training, style keys and the file of a model. It is fitted to a volume's foreground,
/// which gives an ``IntensityScale``; what is outside the foreground becomes 0.
///
/// ```swift
/// let ct = IntensityRule.window(.brain)               // 0 to 80 HU
/// let t1 = IntensityRule.percentiles()                // 0.1 % to 99.9 % of the foreground
/// let same = try IntensityRule("window:0,80")         // as on a command line, and in JSON
/// ```
public enum IntensityRule: Hashable, Sendable {
    /// From one intensity to another, the same for every volume: for CT, whose numbers have a meaning. Clipped.
    case window(IntensityWindow)

    /// From one percentile of the foreground to another, 0 to 100. Clipped: a few very bright voxels do not matter.
    ///
    /// The low end is the background's level where that is less far below the low percentile than the foreground extends:
    /// then 0 is no signal, as in MRI. If the level is farther, or not known, the number 0 is tried so. From 0.1 % to
    /// 99.9 % it is the published preparation (arXiv 2407.05059), FreeSurfer's conform.
    case percentiles(low: Double = 0.1, high: Double = 99.9)

    /// From the least to the greatest intensity. A single voxel can set either.
    case minMax

    /// From `deviations` standard deviations of the foreground below its mean to as many above it. Clipped.
    case zScore(deviations: Double = 3)

    /// A monotone map after which the foreground has a histogram: shares of equal bins over [0.001, 1], as the
    /// `histogram` of a style key has them.
    case histogram([Float])

    /// Not at all: intensities are in [0, 1] already, and background is at most 0.001.
    case unit
}

/// A range of intensities, of which `low` becomes 0 and `high` 1.
public struct IntensityWindow: Hashable, Sendable {
    /// What becomes 0.
    public let low: Double
    /// What becomes 1.
    public let high: Double

    /// A window.
    ///
    /// - Precondition: both are finite, and `low` is below `high`.
    public init(_ low: Double, _ high: Double) {
        precondition(low.isFinite && high.isFinite && low < high, "a window goes from low to high")
        (self.low, self.high) = (low, high)
    }

    /// Brain in a CT: 0 to 80 HU.
    public static let brain = IntensityWindow(0, 80)
    /// Subdural blood in a CT: -50 to 150 HU.
    public static let subdural = IntensityWindow(-50, 150)
    /// Early signs of a stroke in a CT: 20 to 60 HU.
    public static let stroke = IntensityWindow(20, 60)
    /// Soft tissue in a CT: -160 to 240 HU.
    public static let softTissue = IntensityWindow(-160, 240)
    /// Bone in a CT: -500 to 1500 HU.
    public static let bone = IntensityWindow(-500, 1500)

    /// The windows that have a name.
    public static let named: KeyValuePairs<String, IntensityWindow> = [
        "brain": .brain, "subdural": .subdural, "stroke": .stroke, "soft-tissue": .softTissue, "bone": .bone,
    ]

    /// A window by its name, or as two numbers: `brain`, `0,80`.
    ///
    /// - Throws: ``IntensityRuleError``.
    public init(_ text: String) throws(IntensityRuleError) {
        if let named = Self.named.first(where: { $0.key == text })?.value {
            self = named
            return
        }
        guard let numbers = numbers(text), numbers.count == 2, numbers[0] < numbers[1] else {
            throw IntensityRuleError(
                found: "\"\(text)\"",
                expected: "two numbers, the lower first, such as 0,80, or one of "
                    + Self.named.map { "\($0.key) (\($0.value))" }.joined(separator: ", "))
        }
        self.init(numbers[0], numbers[1])
    }
}

// MARK: As text

extension IntensityRule: CustomStringConvertible {
    /// A rule from its text: `window:0,80`, `window:brain`, `percentiles`, `percentiles:0.1,99.9`, `min-max`, `z-score`,
    /// `z-score:3`, `unit`. A histogram has no text.
    ///
    /// - Throws: ``IntensityRuleError``.
    public init(_ text: String) throws(IntensityRuleError) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let values = parts.count > 1 ? numbers(parts[1]) : []
        switch (parts[0], parts.count, values) {
        case ("window", 2, _): self = .window(try IntensityWindow(parts[1]))
        case ("percentiles", 1, _): self = .percentiles()
        case ("percentiles", 2, let values?)
        where values.count == 2 && 0 <= values[0] && values[0] < values[1] && values[1] <= 100:
            self = .percentiles(low: values[0], high: values[1])
        case ("min-max", 1, _): self = .minMax
        case ("z-score", 1, _): self = .zScore()
        case ("z-score", 2, let values?) where values.count == 1 && values[0] > 0:
            self = .zScore(deviations: values[0])
        case ("unit", 1, _): self = .unit
        default:
            throw IntensityRuleError(
                found: "\"\(text)\"",
                expected:
                    "one of window:LOW,HIGH, window:NAME (\(IntensityWindow.names)), percentiles:LOW,HIGH "
                    + "(0 to 100, in per cent of the foreground), min-max, z-score:DEVIATIONS, unit")
        }
    }

    /// The text of the rule.
    public var description: String {
        switch self {
        case .window(let window): "window:\(window)"
        case .percentiles(let low, let high): "percentiles:\(low.plainText),\(high.plainText)"
        case .minMax: "min-max"
        case .zScore(let deviations): "z-score:\(deviations.plainText)"
        case .histogram(let shares): "a histogram of \(shares.count) bins"
        case .unit: "unit"
        }
    }
}

extension IntensityWindow: CustomStringConvertible {
    /// The two numbers: `0,80`.
    public var description: String { "\(low.plainText),\(high.plainText)" }

    fileprivate static var names: String { named.map(\.key).joined(separator: ", ") }
}

/// In JSON a rule is its text; a histogram is an object, `{"histogram": [0.1, 0.3]}`.
extension IntensityRule: Codable {
    private enum CodingKeys: String, CodingKey { case histogram }

    /// Decodes a rule.
    public init(from decoder: any Decoder) throws {
        do {
            if let text = try? decoder.singleValueContainer().decode(String.self) {
                self = try IntensityRule(text)
                return
            }
            let values = try decoder.container(keyedBy: CodingKeys.self).decode(
                [Double].self, forKey: .histogram)
            guard values.count > 1, values.allSatisfy({ $0 >= 0 && $0.isFinite }),
                values.contains(where: { $0 > 0 })
            else {
                throw IntensityRuleError(
                    found: "a histogram of \(values.count) bins",
                    expected: "at least two, none negative, one of them above zero")
            }
            self = .histogram(values.map { Float($0) })
        } catch let error as IntensityRuleError {
            let field = decoder.codingPath.map(\.stringValue).joined(separator: ".")
            let reason = JSONFieldError(field: field, found: error.found, expected: error.expected)
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "\(error)", underlyingError: reason))
        }
    }

    /// Encodes the rule.
    public func encode(to encoder: any Encoder) throws {
        if case .histogram(let shares) = self {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(shares, forKey: .histogram)
        } else {
            var container = encoder.singleValueContainer()
            try container.encode(description)
        }
    }
}

/// An invalid rule.
public struct IntensityRuleError: Error, Hashable, CustomStringConvertible, LocalizedError {
    /// What was found.
    public let found: String
    /// What was expected.
    public let expected: String

    /// What was found and what was expected.
    public var description: String { "found \(found); expected \(expected)" }

    /// The same as ``description``.
    public var errorDescription: String? { description }
}

/// Finite numbers with commas between them, or `nil`.
private func numbers(_ text: String) -> [Double]? {
    let numbers = text.split(separator: ",", omittingEmptySubsequences: false)
        .map { Double($0.trimmingCharacters(in: .whitespaces)) }
    return numbers.allSatisfy { $0?.isFinite ?? false } ? numbers.map { $0! } : nil
}

extension Double {
    /// The shortest text that reads back as this number, without `.0`.
    var plainText: String { self == rounded() && abs(self) < 1e15 ? String(Int(self)) : String(self) }
}
