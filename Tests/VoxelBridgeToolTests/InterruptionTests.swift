import Foundation
import TestSupport
import Testing
import VoxelBridge

/// Commands that are told to end, or killed.
struct InterruptionTests {
    /// A script that starts a cohort of minutes, waits for its first file, and then runs `commands`; `$!` is its process.
    ///
    /// A shell waits, since the tests beside this one may keep all of Swift's threads busy.
    private func script(thenRunning commands: String) -> String {
        """
        set -m
        "$TOOL" phantom --subjects 2000 --shape 24x24x24 --output cohort --quiet &
        until ls cohort 2>/dev/null | grep -q nii.gz; do kill -0 $! || exit; done
        \(commands)
        """
    }

    /// A process ends by the signal that it got, so that scripts end with it, and the same command starts again.
    @Test(arguments: [SIGINT, SIGTERM, SIGHUP, SIGKILL])
    func aCohortThatIsEndedStartsAgain(signal: Int32) async throws {
        try await withTemporaryFolder { folder in
            let cohort = folder.appending(path: "cohort")
            let outcome = try await Tool.shell(
                script(thenRunning: "kill -\(signal) $!; wait $!; echo status $?"), in: folder)
            #expect(outcome.output.contains("status \(128 + signal)"))
            let left = try cohort.files
            #expect(left.contains(".cohort-in-progress"))
            #expect(left.allSatisfy { $0.hasSuffix(".nii.gz") || $0 == ".cohort-in-progress" }, "\(left)")
            for file in left where file.hasSuffix(".gz") {
                #expect(throws: Never.self) { try Volume(contentsOf: cohort.appending(path: file)) }
            }
            try await Tool.succeed(
                "phantom", "--subjects", "2", "--shape", "24x24x24", "--output", cohort.path, "--quiet")
            #expect(
                try cohort.files == ["manifest.csv"]
                    + (1...2).flatMap { n in ["mask", "source", "target"].map { "sub-000\(n)_\($0).nii.gz" } })
        }
    }

    @Test func twoCohortsDoNotMix() async throws {
        try await withTemporaryFolder { folder in
            let outcome = try await Tool.shell(
                script(
                    thenRunning: """
                        "$TOOL" phantom --subjects 2 --shape 24x24x24 --seed 2 --output cohort; echo status $?
                        kill -KILL $!; wait $!
                        """), in: folder)
            #expect(outcome.output.contains("status 1"))
            #expect(outcome.messages.contains("another process is making a cohort in this folder"))
        }
    }

    /// A signal that was ignored when the command started, as by `nohup`, stays ignored.
    @Test func ignoredSignalsStayIgnored() async throws {
        try await withTemporaryFolder { folder in
            let outcome = try await Tool.shell(
                """
                trap '' HUP
                "$TOOL" phantom --subjects 40 --shape 32x32x32 --output cohort --quiet &
                while [ ! -e cohort/sub-0001_mask.nii.gz ]; do sleep 0.01; done
                kill -HUP $!; wait $!
                """, in: folder)
            #expect(outcome.status == 0)
            #expect(FileManager.default.fileExists(atPath: folder.appending(path: "cohort/manifest.csv").path))
        }
    }

    /// Three trainings at once: one trains, and the others say so; with folders of their own and one cache, all do.
    @Test func trainingsAtOnce() async throws {
        try await TrainingPairs.withFolder { folder in
            let shared = folder.appending(path: "cache").path
            let outcomes = try await withThrowingTaskGroup(of: (Bool, Tool.Outcome).self) { group in
                for number in 0..<3 {
                    group.addTask {
                        let arguments = TrainingPairs.arguments(folder, run: "run-\(number)")
                        return (true, try await Tool.run(arguments + ["--cache", shared]))
                    }
                    group.addTask {
                        (false, try await Tool.run(TrainingPairs.arguments(folder, run: "run") + ["--resume"]))
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            for (isAlone, outcome) in outcomes {
                let isLocked = outcome.messages.contains("another process is training in")
                #expect(outcome.status == 0 || !isAlone && isLocked, "\(outcome.messages)")
            }
            #expect(outcomes.contains { !$0.0 && $0.1.status == 0 })
        }
    }

    /// Each command that writes is ended at random moments: see `.ci/kill`.
    @Test func everyCommandCanBeEndedAtAnyTime() async throws {
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../.ci/kill")
        try await withTemporaryFolder { folder in
            let outcome = try await Tool.shell(
                "VOXELBRIDGE=\"$TOOL\" bash '\(script.standardizedFileURL.path)' 4 convert key phantom translate-state",
                in: folder)
            #expect(outcome.status == 0, "\(outcome.messages)")
        }
    }
}
