import Foundation
import Synchronization
import VoxelSupport

/// A translation whose model and settings are known and checked, for any number of sources.
///
/// The network is read at the first source.
protocol FileTranslation: Sendable {
    /// The target modalities of a latent model that were asked for; empty for a model of slices.
    var targets: [String] { get }

    /// The settings that decide the result, by name.
    var settings: [String: JSONValue] { get throws }

    /// The files that decide the result beside the source: `Model`, `Style` and others.
    var inputs: [(name: String, path: String)] { get }

    /// Translates a source, and writes the results.
    func translate(_ files: TranslationFiles) async throws
}

/// The files of one translation.
struct TranslationFiles: Sendable {
    /// A result.
    struct Output: Sendable {
        /// The target modality of a latent model; empty for a model of slices.
        var target = ""
        /// The file to write.
        let path: String
        /// A file for the state after each step.
        var state: String?
        /// The folder of a report.
        var report: String?
        /// Whether messages name the file.
        var isAnnounced = true
    }

    let source: String
    /// The foreground of the source, in place of the one that the options give.
    var mask: String?
    /// One for each target; one for a model of slices.
    let outputs: [Output]
    /// A folder to create for the outputs, once the source is known to be right.
    var newFolder: String?
    /// What the line of progress begins with; nil for no line.
    var label: String?
}

/// A value that is made when it is first used, and kept.
final class Lazy<Value: Sendable>: Sendable {
    private let made = Mutex<Value?>(nil)
    private let make: @Sendable () throws -> Value

    init(_ make: @escaping @Sendable () throws -> Value) { self.make = make }

    /// The value. If several threads ask for it at once, one makes it.
    ///
    /// - Throws: what making it throws; it is then tried again.
    func get() throws -> Value {
        try made.withLock { made in
            if let made { return made }
            let value = try make()
            made = value
            return value
        }
    }
}
