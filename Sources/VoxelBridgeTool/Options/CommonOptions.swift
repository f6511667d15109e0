import ArgumentParser
import Foundation
import Logging
import VoxelBridge
import VoxelSupport

/// The number of threads.
struct ThreadOptions: ParsableArguments {
    @Option(help: "Number of threads. The result does not depend on it. (default: one per core)")
    var threads: Int?

    var count: Int { threads ?? ProcessInfo.processInfo.activeProcessorCount }

    func validate() throws {
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads must be from 1 to 1024, but is \(threads)")
        }
    }
}

extension SlicePlane: ExpressibleByArgument {}

/// Prints a value as JSON with sorted keys to standard output.
func printJSON(_ value: some Encodable) throws {
    print(String(decoding: try value.sortedJSON(prettyPrinted: true), as: UTF8.self))
}

/// Reads a volume, or one of a series, and prints the warnings.
func readVolume(_ path: String, volume index: Int? = nil, logger: Logger) throws -> VolumeFile {
    let file = try index.map { try VolumeFile(contentsOf: path, volume: $0) } ?? VolumeFile(contentsOf: path)
    for warning in file.warnings { logger.warning("\(path): \(warning)") }
    return file
}

/// The style key of the volume in a file.
///
/// - Parameter resampling: how the volume is resampled; `nil` for the spacing of its finest axis.
func readKey(
    ofVolume path: String, bins: Int, intensities: RescaleIntensity, masks: IntensityOptions? = nil,
    resampling: Resample?, logger: Logger
) throws -> StyleKey {
    let volume = try readVolume(path, logger: logger).volume
    let mask = try masks?.foreground(of: volume, in: path, logger: logger)
    return try naming(path) {
        let fit = try IntensityFit(intensities, to: volume, mask: mask)
        for warning in fit.warnings { logger.warning("\(path): \(warning)") }
        return try StyleKey(
            of: fit, bins: bins, resampling: resampling ?? Resample(spacing: volume.grid.spacing.min()))
    }
}

/// Adds the path of a file to the error that `body` throws.
func naming<Value>(_ path: String, _ body: () throws -> Value) throws -> Value {
    do { return try body() } catch { throw FileFailure(path: path, reason: error.explanation) }
}

/// An error with the path of its file.
struct FileFailure: LocalizedError, CustomStringConvertible {
    let description: String

    init(path: String, reason: String) { description = "\(path): \(reason)" }

    /// An error whose message names the file.
    init(message: String) { description = message }

    var errorDescription: String? { description }
}

/// The message of an error, with its file.
func message(of error: any Error) -> String {
    if error is CancellationError { return "cancelled" }
    return (error.filePath.map { "\($0): " } ?? "") + error.explanation
}

/// Checks before a long computation that its result can be written.
func checkOutput(_ path: String, extensions: [String], inputs: [String]) throws {
    let url = URL(filePath: path).standardizedFileURL
    try require(
        extensions.contains(where: { url.lastPathComponent.lowercased().hasSuffix($0) }),
        "the name of the output, \(path), must end in \(extensions.joined(separator: " or "))")
    try checkParent(ofOutput: url)
    let resolved = url.resolvingSymlinksInPath()
    // Only regular files are replaced: no folder, and no device at the end of a link.
    if FileManager.default.fileExists(atPath: resolved.path) {
        let attributes = try FileManager.default.attributesOfItem(atPath: resolved.path)
        try require(
            attributes[.type] as? FileAttributeType == .typeRegular,
            "the output, \(path), exists and is not a file; choose another name")
    }
    for input in inputs where URL(filePath: input).standardizedFileURL.resolvingSymlinksInPath() == resolved {
        throw ValidationError("the output would overwrite the input \(input); choose another name")
    }
}

func checkParent(ofOutput url: URL) throws {
    let folder = url.standardizedFileURL.deletingLastPathComponent()
    try require(
        isFolder(folder), "the folder of the output, \(folder.path), does not exist; create it first")
}

func isFolder(_ url: URL) -> Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) && isFolder.boolValue
}

/// The file extensions of volumes.
let volumeExtensions = [".nii", ".nii.gz"]

/// Throws an error about the command line unless a condition holds.
func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
    if !condition { throw ValidationError(message()) }
}
