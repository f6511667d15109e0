public import Foundation

/// How servers are spoken to.
public struct RemoteOptions: Sendable {
    /// How tensors travel.
    public enum Encoding: Sendable {
        /// As bytes where the server offers the protocol's binary extension, as JSON otherwise.
        case automatic
        /// As bytes.
        case binary
        /// As JSON, which is three times as long and slow to read.
        case json
    }

    /// Sent as `Authorization: Bearer TOKEN`; nil for none.
    public var token: String?

    /// Further headers of each request.
    public var headers: [String: String] = [:]

    /// A PEM file of certificate authorities for https, in place of the system's.
    public var certificates: URL?

    /// How tensors travel.
    public var encoding = Encoding.automatic

    /// The time limit of one request. It must be longer than a server takes for a batch, its wait in the queue included.
    public var timeout = Duration.seconds(300)

    /// The time limit of establishing a connection.
    public var connectTimeout = Duration.seconds(10)

    /// How often in a row a server may fail before it is left out.
    public var attempts = 4

    /// The wait after a failure. It doubles with each further one, up to 30 s, and a random half of it is added or taken
    /// off, so that clients do not come back all at once.
    public var backoff = Duration.milliseconds(250)

    /// After this time a server that was left out gets one request again.
    public var leftOutFor = Duration.seconds(60)

    /// The defaults.
    public init() {}
}

/// What happened with a server during a run that goes on.
public enum RemoteEvent: Sendable, CustomStringConvertible {
    /// A request failed or was turned away, and is repeated.
    case retrying(server: String, reason: String)

    /// A server failed too often in a row. Its batches go to the others.
    case leftOut(server: String, reason: String)

    /// A server that was left out answers again.
    case isBack(server: String)

    /// What happened, and where.
    public var description: String {
        switch self {
        case .retrying(let server, let reason): "\(server): \(reason); trying again"
        case .leftOut(let server, let reason): "\(server) is skipped for now: \(reason)"
        case .isBack(let server): "\(server) answers again"
        }
    }
}

/// What has travelled between a denoiser and its servers so far.
public struct RemoteTraffic: Sendable {
    /// Requests answered.
    public internal(set) var requests = 0

    /// Requests that failed or were turned away, and were repeated.
    public internal(set) var retries = 0

    /// Windows predicted.
    public internal(set) var windows = 0

    /// Bytes of the bodies of answered requests.
    public internal(set) var bytesSent = 0

    /// Bytes of the bodies of answers.
    public internal(set) var bytesReceived = 0

    /// Seconds that all answered requests took together.
    public internal(set) var seconds = 0.0

    /// Of these, seconds that were the servers' own, from the last byte of a request to the first of the answer; nil where
    /// a server does not say.
    public internal(set) var serverSeconds: Double? = 0
}
