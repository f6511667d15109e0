import Volumes

/// The values of several metrics for one prediction, in the order in which they were asked for.
///
/// ```swift
/// let report = try MetricReport(of: prediction, against: reference, metrics: [NRMSE(), PSNR(), SSIM()])
/// print(report["psnr"]!)
/// try JSONEncoder().encode(report).write(to: file)
/// ```
///
/// In JSON a report is an object, `{"nrmse_euclidean": 0.06, "psnr": 27.1, ...}`. JSON has no infinity, which is
/// what the PSNR of equal volumes is: such values are the strings `"Infinity"`, `"-Infinity"` and `"NaN"`, which
/// Python's `float` reads too.
public struct MetricReport: Equatable, Sendable, Encodable {
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
    ///   - prediction: the volume that is judged.
    ///   - reference: the volume that it should equal, voxel for voxel.
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

/// A metric's name as a field of a JSON object.
private struct MetricName: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }

    init?(intValue: Int) { nil }
}
