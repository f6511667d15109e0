import BridgeTraining
import Foundation
import VoxelSupport

/// A table of pairs to compare: one line for each subject and method.
///
/// ```
/// subject,method,prediction,reference,mask
/// anna,ista,anna/ista.nii.gz,anna/t1.nii.gz,anna/brain.nii.gz
/// ```
///
/// The columns `method`, `mask` and `source` and their fields are optional; paths are relative to the table.
struct PairTable {
    /// A line.
    struct Pair: Sendable {
        let subject, method: String
        let prediction, reference: String
        let mask, source: String?

        /// The subject and, if there is one, the method.
        var title: String { method.isEmpty ? subject : "\(subject), \(method)" }
    }

    /// The pairs, or why a line is not a pair.
    let lines: [(pair: Pair, problem: String?)]

    private static let columns = ["subject", "method", "prediction", "reference", "mask", "source"]
    private static let needed = ["subject", "prediction", "reference"]

    init(contentsOf path: String) throws {
        let file = URL(filePath: path)
        let text: String
        do { text = try CommaSeparatedTable.text(contentsOf: file).text } catch {
            throw FileFailure(path: path, reason: "cannot be read: \(error.explanation)")
        }
        let records = CommaSeparatedTable(text, columns: Self.columns).records
        let header = (records.first?.fields ?? []).map { $0.trimmingCharacters(in: .whitespaces).lowercased() }
        let missing = Self.needed.filter { !header.contains($0) }
        guard missing.isEmpty else {
            throw FileFailure(
                path: path,
                reason: """
                    there is no column '\(missing[0])' in the first line; expected the columns subject, prediction \
                    and reference, optionally method, mask and source, separated by commas
                    """)
        }
        if let unknown = header.first(where: { !Self.columns.contains($0) && !$0.isEmpty }) {
            throw FileFailure(
                path: path,
                reason: "unknown column '\(unknown)'; expected \(Self.columns.joined(separator: ","))")
        }
        guard records.count > 1 else {
            throw FileFailure(path: path, reason: "the table has no rows below its header")
        }
        let folder = file.deletingLastPathComponent()
        var seen: Set<[String]> = []
        lines = records.dropFirst().map { record in
            func field(_ name: String) -> String? {
                guard let index = header.firstIndex(of: name), index < record.fields.count else { return nil }
                let text = record.fields[index].trimmingCharacters(in: .whitespaces)
                return text.isEmpty ? nil : text
            }
            func path(_ name: String) -> String? {
                field(name).map { URL(filePath: $0, relativeTo: folder).standardizedFileURL.absoluteURL.path }
            }
            let pair = Pair(
                subject: field("subject") ?? "line \(record.line)", method: field("method") ?? "",
                prediction: path("prediction") ?? "", reference: path("reference") ?? "", mask: path("mask"),
                source: path("source"))
            if let empty = Self.needed.first(where: { field($0) == nil }) {
                return (pair, "\(file.path):\(record.line): there is no \(empty)")
            }
            if !seen.insert([pair.subject, pair.method]).inserted {
                return (pair, "\(file.path):\(record.line): \(pair.title) appears twice")
            }
            return (pair, nil)
        }
    }
}
