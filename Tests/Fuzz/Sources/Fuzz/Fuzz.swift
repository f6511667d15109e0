import BridgeTraining
import CLibFuzzer
import Foundation
import Preprocessing
import ReferenceUNet
import StyleKeys
import TensorFiles
import VolumeIO
import VolumeRegistration

/// A reader of files, which libFuzzer gives any bytes: it reads or refuses them, and does neither crash nor hang.
enum Reader: String {
    case nifti, safetensors, pytorch, key, manifest, configuration

    /// The one that the environment names.
    static let chosen = ProcessInfo.processInfo.environment["READER"].flatMap(Reader.init) ?? .nifti

    /// Reads what is at a path, and describes it or the error, as a command would.
    func read(_ folder: Folder, _ bytes: UnsafeRawBufferPointer) {
        switch self {
        case .nifti:
            let file = folder.write(bytes, to: "volume.nii")
            attempt { try NIfTIHeader(contentsOf: file).description }
            attempt {
                try "\(VolumeFile(contentsOf: file)) \(VolumeFile(contentsOf: file, volume: 1).warnings)"
            }
            guard bytes.count > 352, bytes[344] != UInt8(ascii: "n") || bytes[345] != UInt8(ascii: "+") else {
                return
            }
            // The files of a pair.
            let header = folder.write(UnsafeRawBufferPointer(rebasing: bytes[..<352]), to: "pair.hdr")
            _ = folder.write(UnsafeRawBufferPointer(rebasing: bytes[352...]), to: "pair.img")
            attempt { try "\(VolumeFile(contentsOf: header))" }
        case .safetensors:
            let file = folder.write(bytes, to: "weights.safetensors")
            attempt { try readAll(Safetensors(contentsOf: file)) }
            attempt { try "\(UNetWeights(contentsOf: file).configuration)" }
        case .pytorch:
            let file = folder.write(bytes, to: "weights.pth")
            attempt {
                let checkpoint = try PyTorchCheckpoint(contentsOf: file)
                return try [
                    checkpoint.tensors(), checkpoint.tensors(at: "model"), checkpoint.tensors(at: "ema"),
                ]
                .compactMap { try $0.map(readAll) }.joined() + "\(checkpoint.value() ?? .none)"
            }
        case .key:
            let file = folder.write(bytes, to: "key.json")
            attempt { try "\(StyleKey(contentsOf: file))" }
        case .manifest:
            let file = folder.write(bytes, to: "manifest.csv")
            attempt { try "\(Manifest(contentsOf: file).problems)" }
        case .configuration:
            let file = folder.write(bytes, to: "configuration.json")
            attempt { try String(decoding: TrainingConfiguration(contentsOf: file).json, as: UTF8.self) }
            attempt { try "\(UNetConfiguration(contentsOf: file))" }
            attempt { try "\(RigidTransform(contentsOf: file))" }
            attempt { try "\(PreprocessingPipeline(contentsOf: file))" }
        }
    }

    private func readAll(_ source: some TensorSource) throws -> String {
        try source.names.map { "\($0) \(try source.tensor($0).shape)" }.joined(separator: "\n")
    }

    /// Errors are expected; their messages are short.
    private func attempt(_ body: () throws -> String) {
        do { _ = try body() } catch {
            let message = "\(error)"
            precondition(message.utf8.count < 100_000, "a message of \(message.utf8.count) bytes")
            precondition(!message.contains("Error Domain="), message)
        }
    }
}

/// The folder for the files to read: that for temporary files, which the script puts in memory and removes.
struct Folder {
    private let url = FileManager.default.temporaryDirectory

    func write(_ bytes: UnsafeRawBufferPointer, to name: String) -> URL {
        let file = url.appending(path: name)
        let descriptor = open(file.path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        precondition(Foundation.write(descriptor, bytes.baseAddress, bytes.count) == bytes.count)
        close(descriptor)
        return file
    }
}

private let folder = Folder()

@main
enum Fuzz {
    static func main() {
        var (count, arguments): (CInt, _) = (CommandLine.argc, Optional(CommandLine.unsafeArgv))
        let status = LLVMFuzzerRunDriver(&count, &arguments) { bytes, count in
            Reader.chosen.read(folder, UnsafeRawBufferPointer(start: bytes, count: count))
            return 0
        }
        exit(status)
    }
}
