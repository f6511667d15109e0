public import Foundation

/// Why servers could not be used, and what to do.
public enum RemoteDenoisingError: LocalizedError, CustomStringConvertible {
    /// The file does not describe a model.
    case modelDescription(file: String, reason: String)

    /// The text is not the address of a server, or no address is given.
    case address(String)

    /// The server's model is not the one expected.
    case mismatch(server: String, reason: String, found: String)

    /// Two servers have different models.
    case differentModels(servers: [String], reason: String)

    /// The windows do not fit what the servers take.
    case input(reason: String)

    /// The server answered that the request is wrong, or not allowed; it is not repeated.
    case refused(server: String, status: Int, reason: String)

    /// No server is left. Each of them is given with what went wrong last.
    case noServerLeft(failures: [(server: String, reason: String)])

    /// What went wrong, where, and what to do.
    public var description: String {
        switch self {
        case .modelDescription(let file, let reason): "\(file): \(reason)"
        case .address(let text):
            "'\(text)' is not the address of a server; expected one such as http://127.0.0.1:8000"
        case .mismatch(let server, let reason, let found): "\(server): \(reason); the server has \(found)"
        case .differentModels(let servers, let reason):
            "\(servers.joined(separator: " and ")) have different models (\(reason)); all servers of a run must "
                + "have the same"
        case .input(let reason): reason
        case .refused(let server, let status, let reason):
            switch status {
            case 401, 403:
                "\(server) requires a valid token (\(status)): \(reason); give it with RemoteOptions.token or "
                    + "--token-file"
            case 404:
                "\(server) has no such model (404): \(reason); give its name with RemoteModel or --model"
            default: "\(server) refuses the request (\(status)): \(reason)"
            }
        case .noServerLeft(let failures):
            "no server is left: "
                + failures.map { "\($0.server): \($0.reason)" }.joined(separator: "; ")
        }
    }

    /// The same as ``description``.
    public var errorDescription: String? { description }
}
