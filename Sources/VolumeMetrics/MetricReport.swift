import Foundation
import VoxelSupport
import Volumes

/// The values of several metrics for one prediction, in order. A metric that has no value has the reason in its place.
///
/// ```swift
/// let report = try MetricReport(of: prediction, against: reference, metrics: [NRMSE(), PSNR(), SSIM()])
/// print(report)                   // a table
/// if let psnr = report["psnr"] { print(psnr) }
/// for entry in report { print(entry.name, entry.value ?? .nan, entry.reason ?? "") }
/// try JSONEncoder().encode(report).write(to: file)
/// ```
///
/// In JSON a report is an array of objects, `{"name": "psnr", "value": 27.1}`; without a value, `{"name": "ssim", "value":
/// null, "reason": "..."}`. JSON has no infinity, the PSNR of equal volumes: it is the string `"Infinity"`, which Python's
/// `float` accepts.
public struct MetricReport: Hashable, Sendable, Codable, CustomStringConvertible {
    /// The name of a metric with its value, or the reason why it has none.
    public struct Entry: Hashable, Sendable {
        /// The name of the metric.
        public let name: String
        /// Its value, which may be infinite; `nil` if it has none.
        public let value: Double?
        /// Why it has no value; `nil` if it has one.
        public let reason: String?

        /// An entry with a value.
        public init(name: String, value: Double) { (self.name, self.value, reason) = (name, value, nil) }

        /// An entry without a value.
        public init(name: String, reason: String) { (self.name, value, self.reason) = (name, nil, reason) }
    }

    /// The entries, in order.
    public let entries: [Entry]

    /// The metrics that are reported by default: all of this module.
    ///
    /// - Parameters:
    ///   - dataRange: the range of intensities of PSNR and SSIM.
    ///   - window: the window of SSIM.
    ///   - plane: the plane of the slices of 2-D SSIM, and of the differences of adjacent slices in units of intensity.
    public static func standardMetrics(
        dataRange: DataRange = .ofReference, window: SSIMWindow = .uniform(width: 7), plane: SlicePlane = .axial
    ) -> [any VolumeMetric] {
        let errors: [any VolumeMetric] =
            [MAE(), MSE(), RMSE()] + NRMSE.Normalisation.allCases.map { NRMSE($0) }
        let similarities: [any VolumeMetric] = [
            NMSE(), PSNR(dataRange: dataRange), SSIM(window: window, dataRange: dataRange),
            SSIM(window: window, dataRange: dataRange, plane: plane),
            SSIM(window: window, dataRange: dataRange, scales: 5), CrossCorrelation(),
            NormalisedMutualInformation(),
        ]
        let distances: [any VolumeMetric] =
            HistogramDistance.Kind.allCases.map { HistogramDistance($0) } + [GradientError()]
        let slices = [SliceConsistency.Measure.difference, .error].map { SliceConsistency($0, plane: plane) }
        return errors + similarities + distances + slices
            + SlicePlane.allCases.map { SliceConsistency(.ratio, plane: $0) }
            + SlicePlane.allCases.map { SliceConsistency(.stripeEnergy, plane: $0) }
    }

    /// The metrics of a prediction. What several metrics need is computed once.
    ///
    /// - Parameters:
    ///   - prediction: the volume to evaluate.
    ///   - reference: the expected volume, of the same shape.
    ///   - mask: a volume that is above zero in the voxels to compare; `nil` for all voxels.
    ///   - metrics: the metrics to report; by default ``standardMetrics(dataRange:window:plane:)``.
    /// - Throws: `MetricError.shapesDiffer` and `MetricError.maskShapeDiffers`. Other errors of a metric are its reason.
    public init(
        of prediction: Volume, against reference: Volume, mask: Volume? = nil,
        metrics: [any VolumeMetric] = standardMetrics()
    ) throws(MetricError) {
        let pair = try VolumePair(prediction, reference, mask: mask)
        entries = metrics.map { metric in
            do {
                let value =
                    try (metric as? any PairMetric)?.value(of: pair)
                    ?? metric(prediction, against: reference, mask: mask)
                guard !value.isNaN else { throw MetricError.notFinite(metric: metric.name) }
                return Entry(name: metric.name, value: value)
            } catch {
                return Entry(name: metric.name, reason: error.explanation)
            }
        }
    }

    /// A report of entries.
    public init(entries: [Entry]) { self.entries = entries }

    /// The value of the first metric with a name; `nil` if there is none, or it has no value.
    public subscript(name: String) -> Double? { first { $0.name == name }?.value }

    /// A table with a line for each metric: its name, and its value to six significant digits or the reason.
    public var description: String {
        let width = entries.map(\.name.count).max() ?? 0
        return entries.map {
            $0.name + String(repeating: " ", count: width + 2 - $0.name.count)
                + ($0.value?.shortText ?? "- (\($0.reason ?? ""))")
        }.joined(separator: "\n")
    }

    /// Decodes an array of entries.
    public init(from decoder: any Decoder) throws {
        entries = try decoder.singleValueContainer().decode([Entry].self)
    }

    /// Encodes an array of entries.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(entries)
    }
}

extension MetricReport: Sequence {
    /// An iterator over the entries.
    public func makeIterator() -> [Entry].Iterator { entries.makeIterator() }
}

extension MetricReport.Entry: Codable {
    private enum Field: String, CodingKey {
        case name, value, reason
    }

    /// Decodes an object; a value may be a number, the name of infinity, or null.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Field.self)
        let name = try fields.decode(String.self, forKey: .name)
        if let value = try fields.decodeIfPresent(JSONNumber.self, forKey: .value) {
            self.init(name: name, value: value.value)
        } else {
            self.init(name: name, reason: try fields.decode(String.self, forKey: .reason))
        }
    }

    /// Encodes an object.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Field.self)
        try fields.encode(name, forKey: .name)
        try fields.encode(value.map { JSONNumber($0) }, forKey: .value)
        try fields.encodeIfPresent(reason, forKey: .reason)
    }
}

/// A number in JSON, which has no infinity and no NaN: they are the strings `"Infinity"`, `"-Infinity"` and `"NaN"`.
struct JSONNumber: Codable {
    let value: Double

    init(_ value: Double) { self.value = value }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let name = try? container.decode(String.self) {
            guard let value = Double(name) else {
                throw DecodingError.dataCorruptedError(
                    in: container, debugDescription: "found \(name); expected a number, or \"Infinity\"")
            }
            self.value = value
        } else {
            value = try container.decode(Double.self)
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if value.isFinite { return try container.encode(value) }
        try container.encode(value.isNaN ? "NaN" : value > 0 ? "Infinity" : "-Infinity")
    }
}
