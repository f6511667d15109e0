import Foundation
import TestSupport
import Testing
import VoxelBridge

/// Closed and full streams, full and read-only disks, and little memory: a command ends with a message, or does its work.
struct StarvedTests {
    private func withBrain(_ body: (URL) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            let brain = Volume.brainPhantom(on: VoxelGrid(shape: [24, 28, 20], spacing: [6, 6, 6]))
            try brain.write(to: folder.appending(path: "brain.nii.gz"))
            try await body(folder)
        }
    }

    /// The result is there whatever becomes of the messages, which go nowhere else.
    @Test(arguments: ["2>&-", "2>/dev/full", "<&- 2>&-", "2> >(exit)"])
    func messagesThatCannotBeWrittenHarmNothing(redirection: String) async throws {
        try await withBrain { folder in
            let outcome = try await Tool.shell(
                "\"$TOOL\" translate brain.nii.gz out.nii.gz --model histogram --style brain.nii.gz --steps 3 "
                    + "--verbose \(redirection)", in: folder)
            #expect(outcome.status == 0)
            #expect(try folder.files == ["brain.nii.gz", "out.nii.gz"])
            #expect(throws: Never.self) { try Volume(contentsOf: folder.appending(path: "out.nii.gz")) }
        }
    }

    /// Errors of the command line, too.
    @Test(arguments: ["2>&-", "2>/dev/full"], ["frobnicate", "info none.nii", "info"])
    func errorsThatCannotBeWrittenKeepTheirExitCode(redirection: String, words: String) async throws {
        try await withBrain { folder in
            let outcome = try await Tool.shell("\"$TOOL\" \(words) \(redirection)", in: folder)
            #expect(outcome.status == (words == "info none.nii" ? 1 : 2))
        }
    }

    @Test(arguments: [(">&-", Int32(1)), (">/dev/full", 1), ("| true; exit ${PIPESTATUS[0]}", 128 + SIGPIPE)])
    func resultsThatCannotBePrinted(redirection: String, status: Int32) async throws {
        try await withBrain { folder in
            // The tests' own servers ignore the signal, which processes inherit.
            let outcome = try await Tool.shell(
                "(sleep 0.2; exec env --default-signal=PIPE \"$TOOL\" info brain.nii.gz) \(redirection)",
                in: folder)
            #expect(outcome.status == status)
            if status == 1 { #expect(outcome.messages.contains("Error: standard output")) }
        }
    }

    /// On a disk of 64 kB an earlier result stays, and nothing else.
    @Test(.enabled(if: Tool.canMount, "file systems cannot be mounted here"))
    func aFullDisk() async throws {
        try await withBrain { folder in
            let outcome = try await Tool.shell(
                """
                mkdir disk && mount -t tmpfs -o size=64k none disk && echo old > disk/out.nii
                "$TOOL" convert brain.nii.gz disk/out.nii --type float64; status=$?
                "$TOOL" preprocess brain.nii.gz disk/new.nii --spacing 2; status=$status$?
                "$TOOL" phantom --subjects 3 --shape 48x48x48 --output disk/cohort; status=$status$?
                cat disk/out.nii; ls -A disk disk/cohort; exit $status
                """, in: folder, mounts: true)
            #expect(outcome.status == 111)
            #expect(outcome.messages.components(separatedBy: "No space left on device").count == 4)
            let lines = outcome.output.split(separator: "\n").map(String.init)
            #expect(lines.first == "old")
            #expect(!outcome.output.contains(".voxelbridge") && !outcome.output.contains("new.nii"))
        }
    }

    @Test(.enabled(if: Tool.canMount, "file systems cannot be mounted here"))
    func aReadOnlyFolder() async throws {
        try await withBrain { folder in
            let outcome = try await Tool.shell(
                """
                mkdir disk && mount -t tmpfs none disk && mkdir disk/empty && mount -o remount,ro disk
                "$TOOL" convert brain.nii.gz disk/out.nii; status=$?
                "$TOOL" key brain.nii.gz --output disk/key.json; status=$status$?
                "$TOOL" phantom --subjects 1 --shape 16x16x16 --output disk/empty; exit $status$?
                """, in: folder, mounts: true)
            #expect(outcome.status == 111)
            #expect(
                outcome.messages.components(separatedBy: "Read-only file system").count == 4,
                "\(outcome.messages)")
        }
    }

    /// Files may not grow beyond a limit (`ulimit -f`): an error, not a signal.
    @Test(.disabled(if: isSanitized, "sanitizers take the signal"))
    func aLimitOfTheSizeOfFiles() async throws {
        try await withBrain { folder in
            let outcome = try await Tool.shell(
                "ulimit -f 16; \"$TOOL\" convert brain.nii.gz out.nii --type float64", in: folder)
            #expect(outcome.status == 1 && outcome.messages.contains("File too large"))
            #expect(try folder.files == ["brain.nii.gz"])
        }
    }

    @Test(arguments: ["ulimit -n 4", "ulimit -n 12"]) func fewFiles(limit: String) async throws {
        try await withBrain { folder in
            let outcome = try await Tool.shell("\(limit); \"$TOOL\" info brain.nii.gz", in: folder)
            #expect(outcome.status == 1 && outcome.messages.contains("ulimit -n 256"))
        }
    }

    /// With little memory commands work or say that there is too little. They do not hang.
    @Test(.enabled(if: !isSanitized, "sanitizers need the address space"), arguments: [200, 500, 1000])
    func littleMemory(megabytes: Int) async throws {
        try await withBrain { folder in
            for words in [
                "info brain.nii.gz", "phantom --subjects 4 --shape 64x64x64 --output cohort",
                "preprocess brain.nii.gz out.nii.gz --spacing 0.5",
            ] {
                let outcome = try await Tool.shell(
                    "(ulimit -v \(megabytes)000; exec timeout 120 \"$TOOL\" \(words))", in: folder)
                #expect(outcome.status != 124, "\(words) with \(megabytes) MB hangs")
                #expect(outcome.status == 0 || !outcome.messages.isEmpty, "\(words) with \(megabytes) MB")
            }
        }
    }

    /// A volume that a header claims and the file has, but not the memory.
    @Test(.enabled(if: !isSanitized, "sanitizers need the address space"))
    func aVolumeBeyondTheMemory() async throws {
        try await withBrain { folder in
            let file = folder.appending(path: "large.nii")
            try Volume(grid: VoxelGrid(shape: [4, 4, 4]), repeating: 1).write(to: file, as: .uint8)
            var header = try Data(contentsOf: file).prefix(352)
            for (axis, extent) in [1000, 1000, 1000].enumerated() {
                header.replaceSubrange(
                    42 + 2 * axis..<44 + 2 * axis, with: [UInt8(extent & 255), UInt8(extent >> 8)])
            }
            try header.write(to: file)
            try #require(truncate(file.path, off_t(352 + 1_000_000_000)) == 0)
            let outcome = try await Tool.shell("ulimit -v 3000000; \"$TOOL\" key large.nii", in: folder)
            #expect(outcome.status == 1 && outcome.messages.contains("bytes of memory"), "\(outcome.messages)")
        }
    }

    /// Names come from files, and messages are read by people: they are cut.
    @Test func longNames() async throws {
        try await withBrain { folder in
            let name = String(repeating: "a", count: 4 << 20)
            let header = Data("{\"\(name)\":{\"dtype\":\"C64\",\"shape\":[1],\"data_offsets\":[0,8]}}".utf8)
            let file =
                withUnsafeBytes(of: UInt64(header.count).littleEndian) { Data($0) } + header + Data(count: 8)
            try file.write(to: folder.appending(path: "long.safetensors"))
            try Data("{\"\(name)\": 1}".utf8).write(to: folder.appending(path: "long.json"))
            try Data("subject,split,source,target\n\(name),\(name),\(name),\(name)\n".utf8)
                .write(to: folder.appending(path: "long.csv"))
            for words in [
                "info long.safetensors", "key brain.nii.gz --output long.json/key.json",
                "translate brain.nii.gz out.nii.gz --model histogram --style long.json",
                "train --data long.csv --output run", "train --data long.csv --output run --config long.json",
            ] {
                let outcome = try await Tool.shell("\"$TOOL\" \(words)", in: folder)
                #expect(outcome.status != 0 && !outcome.messages.isEmpty)
                #expect(outcome.messages.utf8.count < 20_000, "\(words): \(outcome.messages.utf8.count) bytes")
            }
        }
    }
}
