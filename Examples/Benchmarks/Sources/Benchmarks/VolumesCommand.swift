import ArgumentParser
import Foundation
import VolumeIO

/// Times reading and writing of volumes, optionally compared with NiBabel.
struct VolumesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "volumes", abstract: "Times reading and writing of volumes.",
        discussion: """
            Each file is read to 32-bit floats, and written as such to .nii.gz and to .nii in a temporary folder. With \
            --python, NiBabel does the same in turn: get_fdata(dtype=float32), and save with its default compression. \
            Our times include flushing the file to disk.
            """)

    @Argument(help: "The volumes.") var files: [String]
    @Option(name: .customLong("repeat"), help: "Number of runs after the warm-up; the shortest counts.")
    var repeats = 5
    @Option(help: "Number of rounds of alternating measurements; the shortest counts.") var rounds = 2
    @Option(help: "A Python with NiBabel.") var python: String?
    @Flag(help: "Measure only, and print JSON.") var json = false

    func run() async throws {
        if json {
            var times: [VolumeTimes] = []
            for file in files { times.append(try await measure(file)) }
            return print(String(decoding: try JSONEncoder().encode(times), as: UTF8.self))
        }
        let (options, script) = (["--repeat", "\(repeats)"], Self.script)
        var (own, peer): ([VolumeTimes]?, [VolumeTimes]?)
        for _ in 0..<rounds {
            own = try merged(own, ChildProcess.ourselves(["volumes", "--json"] + options + files))
            if let python { peer = try merged(peer, ChildProcess.run(python, [script] + options + files)) }
        }
        print(table(own ?? [], peer: peer))
    }

    private static var script: String {
        URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../peer_volumes.py")
            .standardizedFileURL.path
    }

    private func measure(_ file: String) async throws -> VolumeTimes {
        let folder = FileManager.default.temporaryDirectory.appending(path: "benchmarks-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let volume = try Volume(contentsOf: file)
        let (compressed, plain) = (folder.appending(path: "a.nii.gz"), folder.appending(path: "a.nii"))
        let read = try await shortest(of: repeats) { _ = try Volume(contentsOf: file) }
        let write = try await shortest(of: repeats) { try volume.write(to: compressed) }
        let writePlain = try await shortest(of: repeats) { try volume.write(to: plain) }
        let readPlain = try await shortest(of: repeats) { _ = try Volume(contentsOf: plain) }
        let size = try FileManager.default.attributesOfItem(atPath: compressed.path)[.size] as? Int ?? 0
        return VolumeTimes(
            read: read, write: write, readPlain: readPlain, writePlain: writePlain, bytes: size)
    }

    private func merged(_ best: [VolumeTimes]?, _ output: Data) throws -> [VolumeTimes] {
        let times = try JSONDecoder().decode([VolumeTimes].self, from: output)
        return best.map { zip($0, times).map { $0.merged(with: $1) } } ?? times
    }

    private func table(_ own: [VolumeTimes], peer: [VolumeTimes]?) -> String {
        let fields: [(String, KeyPath<VolumeTimes, Double>)] = [
            ("read", \.read), ("write .nii.gz", \.write), ("read .nii", \.readPlain),
            ("write .nii", \.writePlain),
        ]
        let rows = own.indices.flatMap { index in
            let name = URL(filePath: files[index]).lastPathComponent
            let times = fields.map { field, time in
                let other = peer?[index][keyPath: time]
                return [
                    "\(name), \(field)", text(own[index][keyPath: time] * 1e3),
                    other.map { text($0 * 1e3) } ?? "",
                    other.map { text($0 / own[index][keyPath: time]) } ?? "",
                ]
            }
            let other = peer?[index].bytes
            let sizes = [
                "\(name), MB of .nii.gz", text(Double(own[index].bytes) / 1e6),
                other.map { text(Double($0) / 1e6) } ?? "",
                other.map { text(Double($0) / Double(own[index].bytes)) } ?? "",
            ]
            return times + [sizes]
        }
        return markdown(["", "ms", "NiBabel", "ratio"], rows)
    }
}

/// The seconds of reading and writing one volume, as it is, and as plain and compressed 32-bit floats.
private struct VolumeTimes: Codable {
    var read, write, readPlain, writePlain: Double
    /// The size of the compressed file.
    let bytes: Int

    /// The shorter times.
    func merged(with other: VolumeTimes) -> VolumeTimes {
        VolumeTimes(
            read: min(read, other.read), write: min(write, other.write),
            readPlain: min(readPlain, other.readPlain), writePlain: min(writePlain, other.writePlain),
            bytes: bytes)
    }
}
