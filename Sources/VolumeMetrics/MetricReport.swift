import Volumes

/// The values of several metrics for one prediction, in order.
///
/// ```swift
/// let report = try MetricReport(of: prediction, against: reference, metrics: [NRMSE(), PSNR(), SSIM()])
/// print(report)                   // a table
/// print(report["psnr"]!)
/// try JSONEncoder().encode(report).write(to: file)
/// ```
///
/// In JSON a report is an object, `{"nrmse_euclidean": 0.06, "psnr": 27.1, ...}`. JSON has no infinity, the PSNR of equal
/// volumes: values that are not finite are the strings `"Infinity"`, `"-Infinity"` and `"NaN"`, which Python's `float`
/// accepts.
public struct MetricReport: Equatable, Sendable, Encodable, CustomStringConvertible {
    /// The name and value of a metric.
    public struct Entry: Equatable, Sendable {
        /// The name of the metric.
        public let name: String
        /// Its value.
        public let value: Double
    }

    /// Names and values, in order.
    public let entries: [Entry]

    /// The metrics of a prediction.
    ///
    /// - Parameters:
    ///   - prediction: the volume to evaluate.
    ///   - reference: the expected volume, of the same shape.
    ///   - mask: a volume that is above zero in the voxels to compare; `nil` for all voxels.
    ///   - metrics: the metrics to report; by default the three that papers on translation report.
    /// - Throws: the error of the first metric that is undefined, mostly a `MetricError`.
    public init(
        of prediction: Volume, against reference: Volume, mask: Volume? = nil,
        metrics: [any VolumeMetric] = [NRMSE(), PSNR(), SSIM()]
    ) throws {
        entries = try metrics.map {
            Entry(name: $0.name, value: try $0(prediction, against: reference, mask: mask))
        }
    }

    /// The value of the first metric with a name, or `nil`.
    public subscript(name: String) -> Double? { entries.first { $0.name == name }?.value }

    /// A table with a line for each metric: its name, and its value to six significant digits.
    public var description: String {
        let width = entries.map(\.name.count).max() ?? 0
        return entries.map {
            $0.name + String(repeating: " ", count: width + 2 - $0.name.count) + $0.value.shortText
        }.joined(separator: "\n")
    }

    /// Encodes an object with a field for each metric.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: MetricName.self)
        for entry in entries {
            let name = MetricName(stringValue: entry.name)
            if entry.value.isFinite {
                try container.encode(entry.value, forKey: name)
            } else {
                let word = entry.value.isNaN ? "NaN" : entry.value > 0 ? "Infinity" : "-Infinity"
                try container.encode(word, forKey: name)
            }
        }
    }
}

/// The name of a metric as a field of a JSON object.
private struct MetricName: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }

    init?(intValue: Int) { nil }
}
