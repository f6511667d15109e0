import ArgumentParser
import Foundation
import Logging
import VoxelBridge

/// How much a command tells.
struct LoggingOptions: ParsableArguments {
    @Flag(name: .shortAndLong, help: "Tell more of what is done.")
    var verbose = false

    @Flag(name: .shortAndLong, help: "Tell nothing but errors; show no progress.")
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

extension SlicePlane: ExpressibleByArgument {}

/// Prints a value as JSON to standard output, keys sorted so that equal values print equal text.
func printJSON(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    print(String(decoding: try encoder.encode(value), as: UTF8.self))
}

/// Reads a volume, and warns of voxels that were not finite.
func readVolume(_ path: String, logger: Logger) throws -> VolumeFile {
    let file = try VolumeFile(contentsOf: URL(filePath: path))
    if file.replacedVoxels > 0 {
        logger.warning("\(path): \(file.replacedVoxels) voxels were NaN or infinite and are taken as 0")
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

/// What is wrong with a file, where the error itself does not name the file.
struct FileFailure: Error, CustomStringConvertible {
    let path: String
    let reason: String

    var description: String { "\(path): \(reason)" }
}

/// Checks, before long work begins, that its result can be written.
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
    // A file that is there is replaced. A folder must not be, nor a device that a link leads to.
    if FileManager.default.fileExists(atPath: resolved.path) {
        let attributes = try FileManager.default.attributesOfItem(atPath: resolved.path)
        guard attributes[.type] as? FileAttributeType == .typeRegular else {
            throw ValidationError("the output, \(path), is there already and is no file; give it another name")
        }
    }
    for input in inputs where URL(filePath: input).standardizedFileURL.resolvingSymlinksInPath() == resolved {
        throw ValidationError("the output would overwrite the input \(input); give it another name")
    }
}

/// What the names of volumes end in.
let volumeExtensions = [".nii", ".nii.gz"]
