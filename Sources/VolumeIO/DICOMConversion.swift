import Foundation
import VoxelSupport

/// The DICOM files of a folder, converted to a NIfTI file by `dcm2niix`. The file exists as long as this value.
struct DICOMConversion: ~Copyable {
    /// The file of the series.
    let file: String

    /// Whether the file was corrected for the tilt of the gantry or for unequal distances of slices.
    let isCorrected: Bool

    private let folder: TemporaryFolder

    /// - Parameters:
    ///   - source: a folder of DICOM files of one series.
    ///   - program: the name of the converter, or its path.
    init(folder source: String, program: String = "dcm2niix") throws(VolumeIOError.Reason) {
        let folder: TemporaryFolder
        do { folder = try TemporaryFolder(named: "voxelbridge-dicom") } catch { throw .unwritable("\(error)") }
        let output = try Self.run(program, on: source, into: folder.url)
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder.url.path)) ?? [])
            .filter { $0.hasSuffix(".nii") }.sorted()
        (file, isCorrected) = try Self.choose(from: names, in: folder.url, output: output)
        self.folder = folder
    }

    /// Runs the converter, and returns what it prints.
    private static func run(
        _ program: String, on source: String, into folder: URL
    ) throws(VolumeIOError.Reason) -> String {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let places = program.contains("/") ? [program] : path.split(separator: ":").map { "\($0)/\(program)" }
        guard let found = places.first(where: { FileManager.default.isExecutableFile(atPath: $0) }) else {
            throw .converterMissing
        }
        let process = Process()
        process.executableURL = URL(filePath: found)
        // No sidecars, no compression, and files named by the series' number and description.
        process.arguments = ["-b", "n", "-z", "n", "-f", "%s %d", "-o", folder.path, source]
        let pipe = Pipe()
        (process.standardOutput, process.standardError) = (pipe, pipe)
        do { try process.run() } catch { throw .conversionFailed(error.explanation) }
        let output = text(from: pipe.fileHandleForReading)
        process.waitUntilExit()
        return output
    }

    /// All that can be read, of which the first MiB. Where a signal's handler interrupts a read, `FileHandle` would end the
    /// process.
    private static func text(from handle: FileHandle) -> String {
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 14)
        while case let count? = buffer.withUnsafeMutableBytes({
            try? readAll(into: $0, from: handle.fileDescriptor)
        }), count > 0 {
            text += buffer[..<min(count, (1 << 20) - text.count)]
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The file of the only series: the last of those that `dcm2niix` makes of it, which is the most corrected.
    private static func choose(
        from names: [String], in folder: URL, output: String
    ) throws(VolumeIOError.Reason) -> (String, isCorrected: Bool) {
        let series = names.map { $0.dropLast(4) }
        guard let first = series.min(by: { $0.count < $1.count }) else {
            let lines = output.split(whereSeparator: \.isNewline)
            let message = lines.first { $0.hasPrefix("Error") } ?? lines.last ?? "it printed nothing"
            throw .conversionFailed(String(message))
        }
        let isOne = series.allSatisfy {
            $0 == first || $0.hasPrefix(first + "_Tilt") || $0.hasPrefix(first + "_Eq")
        }
        guard isOne else { throw .severalSeries(series.map(String.init)) }
        let chosen = series.max { $0.count < $1.count }!
        return (folder.appending(path: chosen + ".nii").path, chosen != first)
    }
}
