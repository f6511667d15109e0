import Foundation

/// Runs programs and returns their output.
enum ChildProcess {
    /// Runs this program.
    static func ourselves(_ arguments: [String]) throws -> Data {
        guard let program = Bundle.main.executableURL else {
            throw ChildError(command: "benchmarks", status: nil)
        }
        return try run(program.path, arguments)
    }

    /// Runs a program found on the search path.
    ///
    /// - Throws: `ChildError` if it fails; its messages go to standard error.
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
struct ChildError: LocalizedError, CustomStringConvertible {
    let command: String
    let status: Int32?

    var description: String {
        status.map { "\(command) ended with status \($0); see its messages" } ?? "\(command) was not found"
    }

    var errorDescription: String? { description }
}
