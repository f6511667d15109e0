import Volumes

/// The values of several metrics for one prediction, in the order in which they were asked for.
///
/// ```swift
/// let report = try MetricReport(of: prediction, against: reference, metrics: [NRMSE(), PSNR(), SSIM()])
/// print(report["psnr"]!)
/// try JSONEncoder().encode(report).write(to: file)
/// ```
///
/// In JSON a report is an array, so that the order stays: `[{"name": "nrmse", "value": 0.06}, ...]`. JSON has
/// no infinity, which is what the PSNR of equal volumes is: such values are the strings `"Infinity"`,
/// `"-Infinity"` and `"NaN"`, which Python's `float` reads too, and decode to what they were.
public struct MetricReport: Equatable, Sendable, Codable {
    /// One metric's name and value.
    public struct Entry: Equatable, Sendable {
        /// The metric's name.
        public let name: String
        /// Its value.
        public let value: Double
    }

    /// Names and values, in order.
    public let entries: [Entry]

    /// The metrics of a prediction.
    ///
    /// - Parameters:
    ///   - mask: where to look: voxels above zero. `nil` looks everywhere.
    ///   - metrics: what to report; by default the three that translation papers report.
    /// - Throws: what the first metric that has no value throws, mostly a `MetricError`.
    public init(
        of prediction: Volume, against reference: Volume, mask: Volume? = nil,
        metrics: [any VolumeMetric] = [NRMSE(), PSNR(), SSIM()]
    ) throws {
        entries = try metrics.map {
            Entry(name: $0.name, value: try $0(prediction, against: reference, mask: mask))
        }
    }

    /// The value of the first metric of a name, or `nil`.
    public subscript(name: String) -> Double? { entries.first { $0.name == name }?.value }

    /// Decodes the array of names and values.
    public init(from decoder: any Decoder) throws {
        entries = try decoder.singleValueContainer().decode([Entry].self)
    }

    /// Encodes the array of names and values.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(entries)
    }
}

extension MetricReport.Entry: Codable {
    private enum CodingKeys: String, CodingKey {
        case name, value
    }

    private static let words = ["Infinity": Double.infinity, "-Infinity": -.infinity, "NaN": .nan]

    /// Decodes a name, and a value that is a number or one of the three words for what is not finite.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        guard let word = try? container.decode(String.self, forKey: .value) else {
            value = try container.decode(Double.self, forKey: .value)
            return
        }
        guard let number = Self.words[word] else {
            throw DecodingError.dataCorruptedError(
                forKey: .value, in: container,
                debugDescription: "\"\(word)\" should be a number, \"Infinity\", \"-Infinity\" or \"NaN\"")
        }
        value = number
    }

    /// Encodes a name, and a value that is a number or one of the three words for what is not finite.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        if value.isFinite {
            try container.encode(value, forKey: .value)
        } else {
            try container.encode(
                value.isNaN ? "NaN" : value > 0 ? "Infinity" : "-Infinity", forKey: .value)
        }
    }
}
