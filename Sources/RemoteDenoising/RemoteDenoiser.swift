import Foundation
import InferenceProtocol
import Synchronization
public import VolumeTranslation

/// A network on a server, or the same network on several, as a denoiser: by the Open Inference Protocol (KServe V2), which
/// NVIDIA Triton, KServe, OpenVINO Model Server, MLServer and TorchServe speak, and `voxelbridge serve`.
///
/// ```swift
/// let denoiser = try await RemoteDenoiser(["http://gpu-1:8000", "http://gpu-2:8000"])
/// var translator = try VolumeTranslator(denoiser)
/// translator.sampler.batchesInFlight = denoiser.batchesInFlight(ofSize: translator.sampler.batchSize)
/// let mri = try await translator.translate(ct, style: style)
/// ```
///
/// Each batch of windows is a request, which goes to the server with the fewest. What fails is repeated, on another server
/// where there is one: a connection that breaks, an answer that is late, garbled or not finite, status 5xx; a busy server
/// (429 or 503) is asked again after the time that it states. What a server refuses (other status 4xx) is not repeated. A
/// server that fails several times in a row is left out. Where none is left, the sampler's step throws, and can be asked for
/// again: see `SliceSampler.states(from:conditioning:startingAt:resuming:settings:progress:)`.
///
/// The sampler adds predictions in the order of the windows. So a volume has the same bits whatever the order of answers,
/// the number of servers and of batches, if all servers compute the same bits.
public struct RemoteDenoiser: StyledDenoiser {
    private let model: ResolvedModel
    private let pool: ServerPool
    private let recorder: TrafficRecorder
    private let serverCount: Int

    /// Connects to servers: checks that they and the model are ready, and that the model is what is expected.
    ///
    /// A server that cannot be reached is left out, if another one can.
    ///
    /// - Parameters:
    ///   - servers: addresses such as `http://127.0.0.1:8000`, with a path in front of `/v2` where a proxy has one.
    ///   - model: the model's name, and the names of its tensors.
    ///   - options: token, time limits, repetition.
    ///   - onEvent: called with what happens to servers while a run goes on.
    /// - Throws: ``RemoteDenoisingError``, which shows what a server has where it is not what is expected.
    public init(
        _ servers: [String], model: RemoteModel = RemoteModel(), options: RemoteOptions = RemoteOptions(),
        onEvent: (@Sendable (RemoteEvent) -> Void)? = nil
    ) async throws {
        guard !servers.isEmpty else { throw RemoteDenoisingError.address("") }
        let http = HTTPConnections(options)
        let clients = try servers.map { try InferenceClient($0, http: http, options: options) }
        let found = try await withThrowingTaskGroup(
            of: (Int, Result<(client: InferenceClient, model: ResolvedModel), RemoteDenoisingError>).self
        ) { group in
            for (index, client) in clients.enumerated() {
                group.addTask {
                    let one = ServerPool([client], options: options, onEvent: onEvent)
                    do {
                        return (index, .success(try await one.perform { try await $0.connect(to: model) }))
                    } catch let error as RemoteDenoisingError {
                        guard case .noServerLeft = error else { throw error }
                        return (index, .failure(error))
                    }
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }.map(\.1)
        }
        let connected = found.compactMap { try? $0.get() }
        guard let first = connected.first else {
            throw RemoteDenoisingError.noServerLeft(
                failures: found.flatMap { result in
                    guard case .failure(.noServerLeft(let failures)) = result else {
                        return [(server: String, reason: String)]()
                    }
                    return failures
                })
        }
        for other in connected.dropFirst() {
            if let difference = first.model.difference(from: other.model) {
                throw RemoteDenoisingError.differentModels(
                    servers: [first.client.address, other.client.address], reason: difference)
            }
        }
        self.model = first.model
        pool = ServerPool(connected.map(\.client), options: options, onEvent: onEvent)
        recorder = TrafficRecorder()
        serverCount = connected.count
        threads = connected.map { $0.model.threads ?? 1 }.reduce(0, +)
    }

    /// The windows that the servers compute at the same time, where they say so; else one for each server.
    public let threads: Int

    /// How many batches keep the servers busy: enough for all their threads, and one more for each server, that travels
    /// while they compute.
    ///
    /// - Parameter size: windows in a batch.
    public func batchesInFlight(ofSize size: Int) -> Int { (threads + size - 1) / size + serverCount }

    /// What has travelled so far.
    public var traffic: RemoteTraffic { recorder.traffic }

    // MARK: Denoising

    /// N, of the model.
    public var radius: Int { model.radius }

    /// What the predictions stand for.
    public var predictionType: PredictionType { model.predictionType }

    /// Of the model.
    public var sizeMultiple: Int { model.sizeMultiple }

    /// What the server says that the model was trained for.
    public var settings: TranslationSettings? { model.settings }

    /// Whether the model takes x_t. If not, it is a one-step translator.
    public var dependsOnNoisy: Bool { model.has(.noisy) || model.has(.joined) }

    /// Whether the model takes a style key.
    public var takesStyle: Bool { model.has(.context) }

    /// The bins of the style key that the model takes; nil where it takes none, or any number.
    public var styleBins: Int? { model.styleBins }

    /// A fingerprint of the network where the server states one, which is that of a local run; else the model's name,
    /// version and tensors.
    public var runSettings: [RunSetting] { model.runSettings }

    /// The style key itself.
    ///
    /// - Throws: `TranslationError.styleBins(found:expected:)` where it has not as many bins as the network takes.
    public func conditioning(for source: Volume, style: StyleKey) throws -> StyleKey? {
        guard takesStyle else { return nil }
        if let styleBins, styleBins != style.bins {
            throw TranslationError.styleBins(found: style.bins, expected: styleBins)
        }
        return style
    }

    /// The prediction of a server for each window, one after another.
    ///
    /// - Throws: ``RemoteDenoisingError``; `CancellationError`.
    public func predict(
        _ windows: SliceWindows, at timestep: Int, conditioning style: StyleKey?
    ) async throws -> [Float] {
        let request = try model.request(windows, at: timestep, style: style)
        return try await pool.perform(willRepeat: recorder.addRetry) { client in
            let start = ContinuousClock.now
            let (answer, sent, received) = try await client.infer(
                request, with: model.model, expecting: windows.count * windows.valuesPerWindow)
            let prediction = try model.prediction(in: answer, for: windows)
            recorder.add(
                windows: windows.count, sent: sent, received: received, since: start, answer: answer)
            return prediction
        }
    }
}

/// Adds up what travels.
private final class TrafficRecorder: Sendable {
    private let state = Mutex(RemoteTraffic())

    var traffic: RemoteTraffic { state.withLock { $0 } }

    func addRetry() { state.withLock { $0.retries += 1 } }

    func add(
        windows: Int, sent: Int, received: Int, since start: ContinuousClock.Instant,
        answer: InferenceMessage
    ) {
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        state.withLock { traffic in
            traffic.requests += 1
            traffic.windows += windows
            traffic.bytesSent += sent
            traffic.bytesReceived += received
            traffic.seconds += seconds
            if case .number(let own) = answer.parameters[ModelParameter.seconds] {
                traffic.serverSeconds? += own
            } else {
                traffic.serverSeconds = nil
            }
        }
    }
}
