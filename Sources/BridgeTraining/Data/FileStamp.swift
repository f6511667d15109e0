import Foundation

/// The identity of a file, without its contents.
package struct FileStamp: Codable, Equatable, Sendable {
    let path: String
    let size: Int
    let modified: Double

    package init(_ url: URL) throws {
        let attributes = try FileManager.default.attributesOfItem(atPath: url.path)
        path = url.path
        size = (attributes[.size] as? NSNumber)?.intValue ?? 0
        modified = (attributes[.modificationDate] as? Date)?.timeIntervalSinceReferenceDate ?? 0
    }
}
