import ArgumentParser
import Foundation
import Logging
import VolumeTranslation

/// The verbosity of a command.
struct LoggingOptions: ParsableArguments {
    @Flag(name: .shortAndLong, help: "Print debug messages.")
    var verbose = false

    @Flag(name: .shortAndLong, help: "Print errors only, without progress.")
    var quiet = false

    func validate() throws {
        if verbose && quiet { throw ValidationError("--verbose and --quiet exclude each other") }
    }

    /// A logger that writes plain lines to standard error.
    var logger: Logger {
        var logger = Logger(label: "voxelbridge") { _ in StandardErrorLog() }
        logger.logLevel = verbose ? .debug : quiet ? .error : .info
        return logger
    }
}

/// Writes messages to standard error, a line each. The level is named from warnings on.
struct StandardErrorLog: LogHandler {
    var logLevel: Logger.Level = .info
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let prefix = event.level >= .warning ? "\(event.level.rawValue.capitalized): " : ""
        FileHandle.standardError.write(Data("\(prefix)\(event.message)\n".utf8))
    }
}

extension SlicePlane: ExpressibleByArgument {}

/// Prints a value as JSON to standard output, keys sorted so that equal values print equal text.
func printJSON(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    print(String(decoding: try encoder.encode(value), as: UTF8.self))
}

/// Reads a volume, and warns about voxels that are not finite.
func readVolume(_ path: String, logger: Logger) throws -> VolumeFile {
    let file = try VolumeFile(contentsOf: path)
    if file.replacedVoxels > 0 {
        logger.warning("\(path): \(file.replacedVoxels) voxels were NaN or infinite and are now 0")
    }
    return file
}

/// The style key of the volume in a file.
func readKey(ofVolume path: String, bins: Int, logger: Logger) throws -> StyleKey {
    let volume = try readVolume(path, logger: logger).volume
    do { return try StyleKey(of: volume, bins: bins) } catch {
        throw FileFailure(path: path, reason: "\(error)")
    }
}

/// An error with the name of its file.
struct FileFailure: LocalizedError, CustomStringConvertible {
    let path: String
    let reason: String

    var description: String { "\(path): \(reason)" }
    var errorDescription: String? { description }
}

/// Checks, before a long computation, that its result can be written.
func checkOutput(_ path: String, extensions: [String], inputs: [String]) throws {
    let url = URL(filePath: path).standardizedFileURL
    guard extensions.contains(where: { url.lastPathComponent.lowercased().hasSuffix($0) }) else {
        throw ValidationError(
            "the name of the output, \(path), must end in \(extensions.joined(separator: " or "))")
    }
    let folder = url.deletingLastPathComponent().path
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder), isFolder.boolValue else {
        throw ValidationError("the folder of the output, \(folder), does not exist; create it first")
    }
    let resolved = url.resolvingSymlinksInPath()
    // An existing file is replaced; a folder, or a device that a link leads to, is not.
    if FileManager.default.fileExists(atPath: resolved.path) {
        let attributes = try FileManager.default.attributesOfItem(atPath: resolved.path)
        guard attributes[.type] as? FileAttributeType == .typeRegular else {
            throw ValidationError("the output, \(path), exists and is not a file; choose another name")
        }
    }
    for input in inputs where URL(filePath: input).standardizedFileURL.resolvingSymlinksInPath() == resolved {
        throw ValidationError("the output would overwrite the input \(input); choose another name")
    }
}

/// The file extensions of volumes.
let volumeExtensions = [".nii", ".nii.gz"]
