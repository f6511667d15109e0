import Foundation
import TensorFiles
import TestSupport
import Testing

/// Files of both formats that are corrupted at random or large by design: each is read or rejected within a second
/// and a memory limit. Each test runs in its own process, so that memory can be measured and a crash fails one test.
struct HostileFileTests {
    @Test(.disabled(if: isSanitized, "sanitizers take time and memory"), arguments: ExtremeFile.allCases)
    func extremeFilesTakeLittleTimeAndMemory(file: ExtremeFile) async throws {
        try await withTemporaryFolder { folder in
            let bytes = file.bytes
            let url = folder.appending(path: "extreme")
            try writeWithoutFlushing(bytes, to: url)
            await #expect(processExitsWith: .success) {
                [file, path = url.path as String, count = bytes.count as Int] in
                let before = Cost.now()
                let opened = Result { try file.kind.open(URL(filePath: path)) }
                let opening = (Cost.now() - before).seconds
                let outcome = Result { try readAll(opened.get()) }
                let cost = Cost.now() - before
                let slowest = max(opening, (try? outcome.get()) ?? 0)
                #expect(
                    slowest < 1 && cost.peakMemory < 2 * count + 64 << 20,
                    "\(count >> 20) MB took \(opening) s to open, at most \(slowest) s to read one and \(cost.peakMemory >> 20) MB: \(outcome)"
                )
                switch outcome {
                case .success: #expect(file.isWhole)
                case .failure(let error):
                    #expect(!file.isWhole && "\(error)".contains(file.message), "\(error)")
                }
            }
        }
    }

    /// A tensor of 128 MB, nearly all of them a hole on the disk, takes its 256 MB of floats and no more.
    @Test(.disabled(if: isSanitized, "sanitizers take time and memory"))
    func whatHasBeenReadIsLetGo() async throws {
        try await withTemporaryFolder { folder in
            let url = folder.appending(path: "large.safetensors")
            let size = 128 << 20
            let header = "{\"x\":{\"dtype\":\"F16\",\"shape\":[2,\(size / 4)],\"data_offsets\":[0,\(size)]}}"
            let bytes = [UInt8](safetensorsBytes(header, []))
            try writeWithoutFlushing(bytes, to: url)
            try #require(truncate(url.path, off_t(bytes.count + size)) == 0)
            await #expect(processExitsWith: .success) {
                [path = url.path as String, size = size as Int] in
                let before = Cost.now()
                let tensor = try Safetensors(contentsOf: URL(filePath: path)).tensor("x")
                let cost = Cost.now() - before
                #expect(tensor.count == size / 2 && cost.peakMemory < 2 * size + 64 << 20, "\(cost)")
            }
        }
    }

    @Test(.disabled(if: isSanitized, "sanitizers take time and memory"), arguments: FileKind.allCases)
    func mutatedFilesAreReadOrRefused(kind: FileKind) async {
        await #expect(processExitsWith: .success) { [kind] in
            try withTemporaryFolder { folder in
                let seeds = kind.seeds
                let before = Cost.now()
                var (slowest, read) = (0.0, 0)
                for seed in 0..<10_000 {
                    var generator = SeededGenerator(seed: UInt64(seed))
                    let bytes = mutated(seeds[seed % seeds.count], using: &generator)
                    let url = folder.appending(path: "\(seed)")
                    try writeWithoutFlushing(bytes, to: url)
                    let start = Cost.now()
                    do {
                        _ = try readAll(kind.open(url))
                        read += 1
                    } catch is SafetensorsError {} catch is PyTorchError {}
                    slowest = max(slowest, (Cost.now() - start).seconds)
                    unlink(url.path)
                }
                let memory = (Cost.now() - before).peakMemory
                #expect(
                    slowest < 1 && memory < 64 << 20,
                    "\(read) of 10000 read, the slowest in \(slowest) s, with \(memory >> 10) kB")
                #expect(read > 100 && read < 9000)
            }
        }
    }

    /// A file that is cut while it is open is an error, and does not end the process.
    @Test(arguments: FileKind.allCases, [0, 100])
    func filesThatAreCutWhileTheyAreOpen(kind: FileKind, length: Int) throws {
        try withTemporaryFolder { folder in
            for seed in kind.seeds {
                let url = folder.appending(path: "cut")
                try writeWithoutFlushing(seed, to: url)
                let sources = try kind.open(url)
                try #require(truncate(url.path, off_t(length)) == 0)
                let error = #expect(throws: (any Error).self) { try readAll(sources) }
                #expect("\(String(describing: error))".contains("was cut to \(length) bytes while it was read"))
                unlink(url.path)
            }
        }
    }
}

/// The kinds of file that hold tensors.
enum FileKind: String, CaseIterable, Codable {
    case safetensors, checkpoint
}

extension FileKind {
    /// Small files that are whole.
    var seeds: [[UInt8]] {
        var generator = SeededGenerator(seed: 11)
        switch self {
        case .safetensors:
            let header = (0..<4).map {
                #""block.\#($0).weight":{"dtype":"F32","shape":[\#($0),3],"data_offsets":[\#(6 * $0 * ($0 - 1)),\#(6 * $0 * ($0 + 1))]}"#
            }.joined(separator: ",")
            return [
                [UInt8](
                    safetensorsBytes(
                        #"{"__metadata__":{"format":"pt"},\#(header)}"#, .init(repeating: 0, count: 72)))
            ]
        case .checkpoint:
            var checkpoint = CheckpointBytes()
            var transposed = checkpoint.tensor([4, 3], generator.floats(12))
            transposed.strides = [1, 4]
            let tensors = (0..<4).map { index in
                (
                    "block.\(index).weight",
                    CheckpointValue.tensor(checkpoint.tensor([index, 3], generator.floats(3 * index)))
                )
            }
            checkpoint.root = .dictionary([
                ("epoch", .integer(3)), ("rate", .number(0.5)),
                ("names", .list([.text("a"), .none, .bool(true)])),
                ("model", .stateDictionary(tensors)),
                ("ema", .dictionary([("weight", .parameter(transposed))])),
            ])
            return [[UInt8](checkpoint.archive().data()), [UInt8](checkpoint.archive().data(isLarge: true))]
        }
    }

    /// Opens a file.
    func open(_ url: URL) throws -> [any TensorSource] {
        switch self {
        case .safetensors: return [try Safetensors(contentsOf: url)]
        case .checkpoint:
            let file = try PyTorchCheckpoint(contentsOf: url)
            for name in ["epoch", "rate", "names", "model"] { _ = file.value(at: name) }
            return [file.tensors(), file.tensors(at: "model"), file.tensors(at: "ema")].compactMap(\.self)
        }
    }
}

/// Reads every tensor of some, and tells how long the slowest took.
private func readAll(_ sources: [any TensorSource]) throws -> Double {
    var slowest = 0.0
    for source in sources {
        for name in source.names {
            let start = Cost.seconds
            let shape = try source.tensor(name).shape
            slowest = max(slowest, Cost.seconds - start)
            if shape != source.shape(of: name) { throw MissingTensor(name: name) }
        }
    }
    return slowest
}

/// A file with bits flipped, bytes cut off, doubled or exchanged, or numbers made large.
private func mutated(_ original: [UInt8], using generator: inout SeededGenerator) -> [UInt8] {
    var bytes = original
    for _ in 0..<Int.random(in: 1...3, using: &generator) {
        guard !bytes.isEmpty else { break }
        let place = Int.random(in: 0..<bytes.count, using: &generator)
        switch Int.random(in: 0..<8, using: &generator) {
        case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        case 1: bytes[place] = UInt8.random(in: .min ... .max, using: &generator)
        case 2: bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &generator)))
        case 3:
            for index in place..<min(place + 4, bytes.count) { bytes[index] = 0xFF }
        case 4: bytes.insert(contentsOf: [UInt8]("9999999999".utf8), at: place)
        case 5:
            let end = min(bytes.count, place + Int.random(in: 1...64, using: &generator))
            bytes.insert(contentsOf: Array(bytes[place..<end]), at: place)
        case 6: bytes.swapAt(place, Int.random(in: 0..<bytes.count, using: &generator))
        // Operations of pickles, which elsewhere are letters.
        default: bytes[place] = "(0)]}tRbQqhus.NX".utf8.randomElement(using: &generator)!
        }
    }
    return bytes
}

/// Foundation flushes each file that it writes, which for thousands takes most of a minute.
func writeWithoutFlushing(_ bytes: [UInt8], to url: URL) throws {
    let file = try #require(fopen(url.path, "wb"))
    defer { fclose(file) }
    let written = fwrite(bytes, 1, bytes.count, file)
    try #require(written == bytes.count)
}
