import DenoisingServer
import Foundation
import Hummingbird
import InferenceProtocol
import RemoteDenoising
import Synchronization
import TestSupport
import Testing

/// Servers that misbehave: the volume is right, or the error says why, and nothing hangs.
struct FaultTests {
    /// How an answer is wrong.
    enum Fault: CaseIterable, CustomTestStringConvertible {
        case wrongShape, notFinite, garbage, garbageBytes, halfABody, internalError, unavailable,
            tooManyRequests,
            retryAfter, tooLong, empty, otherOutput

        var testDescription: String { "\(self)" }

        func respond(_ right: () throws -> Response) async throws -> Response {
            func text(_ status: HTTPResponse.Status, _ text: String, _ headers: HTTPFields = [:]) -> Response {
                Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(string: text)))
            }
            switch self {
            case .wrongShape, .notFinite, .otherOutput:
                return try answer(fault: self)
            case .garbage: return text(.ok, "<html>welcome</html>")
            case .garbageBytes:
                var response = text(.ok, "{}\u{0}\u{1}\u{2}\u{3}")
                response.headers[.init(InferenceMessage.lengthHeader)!] = "4000"
                return response
            case .halfABody:
                return Response(
                    status: .ok, headers: [.contentLength: "1000000"],
                    body: .init { writer in
                        try await writer.write(ByteBuffer(repeating: 1, count: 5000))
                        throw CancellationError()
                    })
            case .internalError: return text(.internalServerError, #"{"error": "out of memory"}"#)
            case .unavailable: return text(.serviceUnavailable, #"{"error": "warming up"}"#)
            case .tooManyRequests: return text(.tooManyRequests, "slow down")
            case .retryAfter: return text(.serviceUnavailable, "", [.retryAfter: "0.05"])
            case .tooLong:
                return Response(status: .ok, body: .init(byteBuffer: ByteBuffer(repeating: 32, count: 1 << 22)))
            case .empty: return text(.ok, "")
            }
        }

        private func answer(fault: Fault) throws -> Response {
            var answer = InferenceMessage()
            let shape = fault == .wrongShape ? [2, 3, 8, 6] : [2, 3, 6, 8]
            answer.tensors = [
                InferenceTensor(
                    name: fault == .otherOutput ? "other" : "out", type: .f32,
                    tensor: Tensor(shape: shape, repeating: fault == .notFinite ? .nan : 0))
            ]
            let (bytes, length) = try answer.encoded(as: .outputs) { _ in true }
            return Response(
                status: .ok, headers: [.init(InferenceMessage.lengthHeader)!: "\(length!)"],
                body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
        }
    }

    /// A fault now and then: the request is repeated, and the volume is right.
    @Test(arguments: Fault.allCases)
    func afterAFaultTheVolumeIsRight(fault: Fault) async throws {
        let expected = try await expectedVolume()
        try await withScriptedServer(respond: { number, right in
            [2, 7, 8].contains(number) ? try await fault.respond(right) : try right()
        }) { address in
            let denoiser = try await RemoteDenoiser([address], options: impatient)
            let volume = try await sampler(denoiser).sample(from: randomSource(), conditioning: nil)
            #expect(volume == expected)
            #expect(denoiser.traffic.retries == 3)
        }
    }

    /// A busy server may ask for any time, or none that makes sense.
    @Test(arguments: ["0", "-1", "nan", "inf", "1e30", "soon"])
    func anyTimeMayBeAskedFor(retryAfter: String) async throws {
        let expected = try await expectedVolume()
        try await withScriptedServer(respond: { number, right in
            guard number == 2 else { return try right() }
            return Response(status: .serviceUnavailable, headers: [.retryAfter: retryAfter])
        }) { address in
            let denoiser = try await RemoteDenoiser([address], options: impatient)
            #expect(
                try await sampler(denoiser).sample(from: randomSource(), conditioning: nil) == expected)
            #expect(denoiser.traffic.retries == 1)
        }
    }

    /// A fault for good on one of two servers: the other one does its work.
    @Test(arguments: Fault.allCases)
    func theOtherServerDoesTheWork(fault: Fault) async throws {
        let expected = try await expectedVolume()
        try await withScriptedServer(respond: { _, right in try await fault.respond(right) }) { bad in
            try await withServer(MixingModel()) { good in
                let denoiser = try await RemoteDenoiser([bad, good], options: impatient)
                let volume = try await sampler(denoiser).sample(from: randomSource(), conditioning: nil)
                #expect(volume == expected)
            }
        }
    }

    /// A fault for good on the only server: the error names it and the fault, in time.
    @Test(arguments: [
        (Fault.wrongShape, "'out' has the shape [2, 3, 8, 6]; expected [2, 3, 6, 8]"),
        (.notFinite, "'out' has NaN or an infinity"), (.garbage, "an invalid answer"),
        (.halfABody, ""), (.internalError, "status 500: out of memory"),
        (.unavailable, "status 503: warming up"),
        (.tooManyRequests, "status 429: slow down"), (.tooLong, ""), (.otherOutput, "it has no output 'out'"),
    ])
    func theErrorSaysWhy(fault: Fault, reason: String) async throws {
        try await withScriptedServer(respond: { _, right in try await fault.respond(right) }) { address in
            var options = impatient
            options.timeout = .seconds(10)
            let denoiser = try await RemoteDenoiser([address], options: options)
            let start = ContinuousClock.now
            let error = await #expect(throws: SliceSamplingError.self) {
                _ = try await sampler(denoiser, inFlight: 1).sample(from: randomSource(), conditioning: nil)
            }
            #expect("\(error!)".contains("no server is left: \(address): \(reason)"), "\(error!)")
            #expect(ContinuousClock.now - start < .seconds(60))
        }
    }

    /// A request that is wrong is not repeated, nor is one that is not allowed.
    @Test(arguments: [HTTPResponse.Status.badRequest, .unauthorized, .forbidden, .contentTooLarge])
    func whatIsRefusedIsNotRepeated(status: HTTPResponse.Status) async throws {
        let requests = Mutex(0)
        try await withScriptedServer(respond: { _, _ in
            requests.withLock { $0 += 1 }
            return Response(
                status: status, body: .init(byteBuffer: ByteBuffer(string: #"{"error": "no, thank you"}"#)))
        }) { address in
            let denoiser = try await RemoteDenoiser([address], options: impatient)
            let error = await #expect(throws: SliceSamplingError.self) {
                _ = try await sampler(denoiser, inFlight: 1).sample(from: randomSource(), conditioning: nil)
            }
            let refusal =
                [.unauthorized, .forbidden].contains(status) ? "requires a valid token" : "refuses the request"
            #expect("\(error!)".contains("\(refusal) (\(status.code)): no, thank you"))
        }
        #expect(requests.withLock { $0 } == 1)
    }

    @Test func aTokenOpensTheServer() async throws {
        var guarded = ModelServer.Options()
        guarded.token = "open sesame"
        let expected = try await expectedVolume()
        try await withServer(MixingModel(), options: guarded) { address in
            for token in [nil, "open", "open sesamf", "open sesame!"] {
                var options = impatient
                options.token = token
                let error = await #expect(throws: RemoteDenoisingError.self) {
                    _ = try await RemoteDenoiser([address], options: options)
                }
                #expect("\(error!)".contains("requires a valid token (401)"), "\(error!)")
            }
            var options = impatient
            options.token = "open sesame"
            let denoiser = try await RemoteDenoiser([address], options: options)
            let volume = try await sampler(denoiser).sample(from: randomSource(), conditioning: nil)
            #expect(volume == expected)
        }
    }

    /// Answers that are late and out of order.
    @Test func lateAnswersAreAddedInOrder() async throws {
        let expected = try await expectedVolume()
        try await withScriptedServer(respond: { number, right in
            try await Task.sleep(for: .milliseconds(number * 7919 % 5 * 12))
            return try right()
        }) { address in
            let denoiser = try await RemoteDenoiser([address], options: impatient)
            let volume = try await sampler(denoiser, batch: 1, inFlight: 5)
                .sample(from: randomSource(), conditioning: nil)
            #expect(volume == expected)
            #expect(denoiser.traffic.retries == 0)
        }
    }

    /// A server that never answers is left out after its time, and the other one does the work; alone it ends the run.
    @Test func aServerThatNeverAnswersIsLeftOut() async throws {
        let expected = try await expectedVolume()
        try await withScriptedServer(respond: { _, right in
            try await Task.sleep(for: .seconds(600))
            return try right()
        }) { silent in
            var options = impatient
            (options.timeout, options.attempts) = (.seconds(2), 1)
            let events = Mutex<[String]>([])
            try await withServer(MixingModel()) { [options] good in
                let denoiser = try await RemoteDenoiser([silent, good], options: options) { event in
                    events.withLock { $0.append("\(event)") }
                }
                let volume = try await sampler(denoiser).sample(from: randomSource(), conditioning: nil)
                #expect(volume == expected)
            }
            let skipped = "\(silent) is skipped for now: no answer within"
            #expect(events.withLock { $0.contains { $0.hasPrefix(skipped) } })
            let denoiser = try await RemoteDenoiser([silent], options: options)
            let start = ContinuousClock.now
            let error = await #expect(throws: SliceSamplingError.self) {
                _ = try await sampler(denoiser).sample(from: randomSource(), conditioning: nil)
            }
            #expect("\(error!)".contains("no server is left: \(silent): no answer within"))
            #expect(ContinuousClock.now - start < .seconds(60))
        }
    }

    /// A server that cannot be reached is left out from the start; where there is no other, the error says so.
    @Test func aServerThatIsNotThereIsLeftOut() async throws {
        let expected = try await expectedVolume()
        // A port that was free a moment ago.
        let nobody = try await withServer(MixingModel()) { $0 }
        try await withServer(MixingModel()) { address in
            let denoiser = try await RemoteDenoiser([nobody, address], options: impatient)
            let volume = try await sampler(denoiser).sample(from: randomSource(), conditioning: nil)
            #expect(volume == expected)
        }
        let error = await #expect(throws: RemoteDenoisingError.self) {
            _ = try await RemoteDenoiser([nobody], options: impatient)
        }
        #expect("\(error!)".contains("no server is left: \(nobody)"), "\(error!)")
    }

    /// A run whose only server is lost goes on once there is another one, to the same bits: what failed is asked again.
    @Test func aStepThatFailedCanBeAskedAgain() async throws {
        let expected = try await expectedVolume(steps: 4)
        let isAway = Mutex(false)
        var options = impatient
        (options.attempts, options.leftOutFor) = (2, .milliseconds(100))
        try await withScriptedServer(respond: { number, right in
            if number == 20 { isAway.withLock { $0 = true } }
            guard isAway.withLock({ !$0 }) else { return Response(status: .badGateway) }
            return try right()
        }) { [options] address in
            let events = Mutex<[String]>([])
            let denoiser = try await RemoteDenoiser([address], options: options) { event in
                events.withLock { $0.append("\(event)") }
            }
            // One at a time: failures of requests that are under way together count once.
            var states = try sampler(denoiser, steps: 4, inFlight: 1).states(
                from: randomSource(), conditioning: nil
            )
            .makeAsyncIterator()
            var (failures, result) = (0, nil as Volume?)
            while result == nil {
                do {
                    let state = try await states.next()
                    if state!.isComplete { result = state!.estimate.volume }
                } catch is SliceSamplingError {
                    failures += 1
                    isAway.withLock { $0 = false }
                    try await Task.sleep(for: .milliseconds(150))
                }
            }
            #expect(failures == 1 && result == expected)
            #expect(events.withLock { $0.contains("\(address) answers again") })
        }
    }

    /// Cancelling ends a run that waits for a server.
    @Test func cancellingDoesNotWaitForTheServer() async throws {
        try await withScriptedServer(respond: { _, right in
            try await Task.sleep(for: .seconds(600))
            return try right()
        }) { address in
            let denoiser = try await RemoteDenoiser([address])
            let run = Task { try await sampler(denoiser).sample(from: randomSource(), conditioning: nil) }
            try await Task.sleep(for: .milliseconds(200))
            let start = ContinuousClock.now
            run.cancel()
            await #expect(throws: CancellationError.self) { _ = try await run.value }
            #expect(ContinuousClock.now - start < .seconds(isSanitized ? 60 : 5))
        }
    }

    /// 200 clients at once, of a server that lets 20 requests in: the others come back later, and all have their volumes.
    @Test(.timeLimit(.minutes(5)), .disabled(if: isSanitized, "sanitizers take time"))
    func twoHundredClientsAreServed() async throws {
        var crowded = ModelServer.Options()
        (crowded.maximumRequests, crowded.threads) = (20, 2)
        let source = randomSource([8, 6, 4])
        let expected = try await sampler(LocalMixing()).sample(from: source)
        let model = MixingModel { Thread.sleep(forTimeInterval: 0.0005) }
        let retries = try await withServer(model, options: crowded) { address in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<200 {
                    group.addTask {
                        let denoiser = try await RemoteDenoiser([address])
                        let volume = try await sampler(denoiser).sample(from: source, conditioning: nil)
                        #expect(volume == expected)
                        return denoiser.traffic.retries
                    }
                }
                return try await group.reduce(0, +)
            }
        }
        #expect(retries > 0, "the server was never crowded")
    }
}
