import ArgumentParser
import Foundation
import VoxelSupport

/// The command `voxelbridge`.
struct VoxelBridge: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "voxelbridge",
        abstract:
            "Translate medical volumes from one modality or scanner to another, consistently from slice to slice.",
        discussion: """
            A typical session: inspect a file, compute the style to translate to, translate, and compare.

              voxelbridge info ct.nii.gz
              voxelbridge key t1-a.nii.gz t1-b.nii.gz --output t1.json
              voxelbridge translate ct.nii.gz mri.nii.gz --model ct2mri.safetensors --style t1.json
              voxelbridge evaluate mri.nii.gz truth.nii.gz

            Volumes are NIfTI-1 or NIfTI-2 files, .nii or .nii.gz. ANALYZE files, pairs of .hdr and .img, and \
            folders of DICOM files (with dcm2niix installed) are read too. Results go to standard output, messages \
            and progress to standard error. The exit code is 0 on success, 1 on failure, and 2 for an invalid \
            command line.
            """,
        version: "0.2.0",
        subcommands: [
            TranslateCommand.self, PredictCommand.self, EvaluateCommand.self, KeyCommand.self,
            MaskCommand.self, PreprocessCommand.self, RegisterCommand.self, InfoCommand.self,
            ConvertCommand.self,
            MontageCommand.self, ImportCommand.self, PhantomCommand.self, TrainCommand.self,
            BidsCommand.self, ServeCommand.self,
        ])
}

@main
enum Main {
    static func main() async {
        prepareProcess()
        var command: any ParsableCommand = VoxelBridge()
        do {
            try checkLimits()
            command = try VoxelBridge.parseAsRoot()
            if var asyncCommand = command as? any AsyncParsableCommand {
                try await asyncCommand.run()
            } else {
                try command.run()
            }
            // Printing fails silently, for example on a full disk.
            guard fflush(nil) == 0 else {
                throw FileFailure(path: "standard output", reason: String(cString: strerror(errno)))
            }
            end(0)
        } catch let error as ValidationError {
            // It was thrown by run(). ArgumentParser would print the root command's usage.
            let subcommand = type(of: command)
            exit(
                2,
                """
                Error: \(error.message)
                Usage: \(VoxelBridge.usageString(for: subcommand))
                  See 'voxelbridge \(subcommand.configuration.commandName ?? "") --help' for more information.
                """)
        } catch {
            exit(with: error)
        }
    }

    private static func exit(with error: any Error) -> Never {
        switch VoxelBridge.exitCode(for: error) {
        case .success:
            print(VoxelBridge.fullMessage(for: error))
            end(fflush(nil) == 0 ? 0 : 1)
        case .validationFailure: exit(2, VoxelBridge.fullMessage(for: error))
        default: exit(1, "Error: \(message(of: error))")
        }
    }

    private static func exit(_ status: Int32, _ message: String) -> Never {
        writeMessage("\(message)\n")
        fflush(nil)
        end(status)
    }

    /// Ends the process at once. Libraries that could not start their threads, as memory was short, would wait for them.
    private static func end(_ status: Int32) -> Never { _exit(status) }

    /// Makes the process end as users expect: by the signal that it got, with nothing unfinished left; and a write beyond
    /// the limit of a file's size (`ulimit -f`) is an error.
    private static func prepareProcess() {
        StandardStreams.openMissing()
        signal(SIGXFSZ, SIG_IGN)
        Interruption.endsCleanly()
    }

    /// The fewest open files with which the Swift runtime, which would crash, and a command can work.
    private static let fewestFiles: rlim_t = 16
    /// The least address space with which threads can start.
    private static let leastMemory: rlim_t = 400_000_000

    /// Checks what the runtime cannot report.
    private static func checkLimits() throws {
        #if canImport(Darwin)
            let (files, memory) = (RLIMIT_NOFILE, RLIMIT_AS)
        #else
            let (files, memory) = (
                __rlimit_resource_t(RLIMIT_NOFILE.rawValue), __rlimit_resource_t(RLIMIT_AS.rawValue)
            )
        #endif
        var limit = rlimit()
        if getrlimit(memory, &limit) == 0, limit.rlim_cur < leastMemory {
            throw FileFailure(
                message:
                    "the process may use \(limit.rlim_cur / 1_000_000) MB of address space, and at least "
                    + "\(leastMemory / 1_000_000) MB are needed; raise the limit: ulimit -v unlimited")
        }
        guard getrlimit(files, &limit) == 0, limit.rlim_cur < fewestFiles else { return }
        limit.rlim_cur = min(limit.rlim_max, 256)
        guard limit.rlim_cur >= fewestFiles, setrlimit(files, &limit) == 0 else {
            throw FileFailure(
                message:
                    "at most \(limit.rlim_max) files may be open at a time, and at least \(fewestFiles) are needed; "
                    + "raise the limit: ulimit -n 256")
        }
    }
}
