import Foundation

/// Programs run to their end for what they print.
enum ChildProcess {
    /// Runs this program.
    static func ourselves(_ arguments: [String]) throws -> Data {
        guard let program = Bundle.main.executableURL else {
            throw ChildError(command: "benchmarks", status: nil)
        }
        return try run(program.path, arguments)
    }

    /// Runs a program that is found as the shell finds it.
    ///
    /// - Throws: `ChildError` where it fails; what it says about that goes to standard error.
    static func run(_ program: String, _ arguments: [String]) throws -> Data {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [program] + arguments
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw ChildError(
                command: ([program] + arguments).joined(separator: " "), status: process.terminationStatus)
        }
        return data
    }
}

/// A program that failed.
struct ChildError: Error, CustomStringConvertible {
    let command: String
    let status: Int32?

    var description: String {
        status.map { "\(command) ended with status \($0); see what it said above" }
            ?? "\(command) was not found"
    }
}
