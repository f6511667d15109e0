import Foundation
import LatentTranslation
import TestSupport
import Testing

/// Whole translations, sampled in double precision by other software from the same noise.
@Suite(.enabled(if: Fixtures.hasReference, Fixtures.missingReference))
struct SamplingReferenceTests {
    /// A translator of the reference's network that takes sources as they are, from the reference's noise.
    static func translator(
        _ name: String, _ numbers: Safetensors, eta: Double = 0, scale: Double = 1
    ) throws -> LatentVolumeTranslator {
        var stated = Reference.configurations
        if name == "b" { stated = [Reference.url("unet_b.json"), Reference.url("autoencoder_b.json")] }
        let file = FileManager.default.temporaryDirectory.appending(path: "scale-\(UUID().uuidString).json")
        try Data("{\"scale\": \(scale)}".utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let model = try LatentModel(
            contentsOf: Reference.url("unet_\(name).safetensors"),
            firstStage: Reference.url("autoencoder_\(name).safetensors"), configurations: stated + [file])
        var translator = try LatentVolumeTranslator(model, steps: 8, eta: eta)
        translator.preparation = nil
        translator.givenNoise = (
            try numbers.flipped("noise"), eta > 0 ? try Self.stepNoises(numbers) : nil
        )
        return translator
    }

    /// The noise of each step, `[steps, 1, channels, x, y, z]` in the file.
    static func stepNoises(_ numbers: Safetensors) throws -> [Tensor] {
        let noises = try numbers.tensor("noises")
        return (0..<noises.shape[0]).map {
            noises.slice(axis: 0, $0..<$0 + 1).reshaped(Array(noises.shape[1...])).reversingSpatialAxes()
        }
    }

    @Test(arguments: [("a", [1, 3]), ("b", [0, 2])])
    func translationsAgree(name: String, targets: [Int]) async throws {
        let numbers = try Reference.numbers("sampling_\(name)")
        let translator = try Self.translator(name, numbers)
        let encoded = try await translator.encode(Volume(numbers.flipped("source")))
        for target in targets {
            let like = try await translator.translated(encoded.latent, to: target)
            let beside =
                translator.model.configuration.denoiser?.takesSource == true
                ? .concatenated([encoded.latent, like], axis: 1) : like
            expectClose(beside, try numbers.flipped("conditioning.\(target)"), "\(name) conditioning \(target)")
            let volume = try await translator.translate(encoded, to: "\(target)")
            expectClose(
                volume.tensor, try numbers.flipped("ddim8.volume.\(target)"), "\(name) volume \(target)")
            guard numbers.shape(of: "ddim8.latent.\(target)") != nil else { continue }
            var last: SamplingState<Tensor>?
            for try await state in try await translator.states(of: encoded, to: "\(target)") {
                last = state.sampling
            }
            expectClose(
                try #require(last).noisy, try numbers.flipped("ddim8.latent.\(target)"), "latent \(target)")
        }
    }

    @Test func freshNoiseRequantisingAndScaleAgree() async throws {
        let numbers = try Reference.numbers("sampling_a")
        let source = Volume(try numbers.flipped("source"))
        let noisy = try Self.translator("a", numbers, eta: 1)
        var last: SamplingState<Tensor>?
        for try await state in try await noisy.states(of: noisy.encode(source), to: "t1ce") {
            last = state.sampling
        }
        expectClose(try #require(last).noisy, try numbers.flipped("ddim8.eta1.latent.1"), "eta 1")

        var requantising = try Self.translator("a", numbers)
        requantising.requantises = true
        expectClose(
            try await requantising.translate(source, to: "1").tensor,
            try numbers.flipped("ddim8.volume.1.requantised"), "requantised")

        let scaled = try Self.translator("a", numbers, scale: 0.5)
        let encoded = try await scaled.encode(source)
        expectClose(
            try await scaled.translate(encoded, to: "T1CE").tensor,
            try numbers.flipped("ddim8.volume.1.scale0.5"), "scale 0.5")
        for try await state in try await scaled.states(of: encoded, to: "1") { last = state.sampling }
        expectClose(try #require(last).noisy, try numbers.flipped("ddim8.latent.1.scale0.5"), "scaled latent")
    }

    /// One step of DDPM from the noise, at timesteps from the first to the last; the last is the estimate of x_0 itself.
    @Test(arguments: [0, 1, 500, 999])
    func stepsOfDDPMAgree(timestep: Int) async throws {
        let numbers = try Reference.numbers("sampling_a")
        let model = try Reference.model("a")
        let noisy = try numbers.flipped("noise")
        let beside = try numbers.flipped("conditioning.1")
        let prediction = try await LatentDenoiser(model).predict(
            noisy, source: beside, at: timestep, conditioning: [1]
        ) { _ in }
        expectClose(prediction, try numbers.flipped("eps.\(timestep)"), "eps \(timestep)")

        let path = LatentModelConfiguration.publishedPath
        var sampler = Sampler(
            scheduler: timestep == 0
                ? Scheduler(path, timesteps: [0])
                : Scheduler(path, timesteps: [timestep], arrival: timestep - 1, solver: .ancestral),
            denoiser: LatentDenoiser(model))
        sampler.stepNoises = [try Self.stepNoises(numbers)[0]]
        let next = try await sampler.sample(from: beside, conditioning: [1], startingAt: noisy)
        expectClose(next, try numbers.flipped("ddpm.\(timestep)"), "ddpm \(timestep)")
    }

    @Test func theScheduleIsThatOfTheReference() throws {
        struct Numbers: Decodable {
            let t: [Int]
            let beta, alpha_bar, posterior_variance, posterior_mean_x0, posterior_mean_xt: [Double]
            let ddim_steps: [String: [Int]]
            let ddim_sigma_eta1: [String: [Double]]
        }
        let numbers = try JSONDecoder().decode(
            Numbers.self, from: Data(contentsOf: Reference.url("schedule.json")))
        let path = LatentModelConfiguration.publishedPath
        func close(_ found: Double, _ expected: Double) -> Bool {
            abs(found - expected) <= 1e-12 + 1e-9 * expected
        }
        for (index, t) in numbers.t.enumerated() {
            let target = path.coefficients(at: t).target
            #expect(close(target * target, numbers.alpha_bar[index]))
            guard t > 0 else { continue }
            #expect(close(path.posteriorVariance(of: t - 1, from: t), numbers.posterior_variance[index]))
            let step = DDIMSolver.ancestral.step(from: t, to: t - 1, after: [], on: path)
            #expect(close(step.estimates[0], numbers.posterior_mean_x0[index]))
            #expect(close(step.noisy, numbers.posterior_mean_xt[index]))
            #expect(close(step.noise * step.noise, numbers.posterior_variance[index]))
        }
        for (count, steps) in numbers.ddim_steps {
            let count = try #require(Int(count))
            #expect(Scheduler.stridedTimesteps(count, of: 1000) == steps.reversed())
            // The public code's own list may ask for a timestep that there is not.
            guard steps.last! < 1000 else {
                #expect(throws: StridedTimestepsError.self) { try Scheduler.strided(path, steps: count) }
                continue
            }
            let scheduler = try Scheduler.strided(path, steps: count, solver: .ancestral)
            #expect(scheduler.arrival == 0 && scheduler.stepCount == steps.count)
            for (index, sigma) in (numbers.ddim_sigma_eta1["\(count)"] ?? []).reversed().enumerated() {
                #expect(close(scheduler.step(index).noise, sigma))
            }
        }
        #expect(Scheduler.stridedTimesteps(300, of: 1000).count == 334)
    }

    @Test(arguments: [
        (0, "1 to 500; choose 1"), (501, "1 to 500; choose 500"), (600, "choose 500"),
        (300, "visit 334 timesteps from 1 to 1000, but the process has 0 to 999; choose 250 or 334"),
    ])
    func stepsThatCannotBeTakenAreRefused(steps: Int, message: String) {
        let error = #expect(throws: StridedTimestepsError.self) {
            try Scheduler.strided(LatentModelConfiguration.publishedPath, steps: steps)
        }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
        #expect(error?.localizedDescription == error?.description)
    }

    @Test func aProcessOfOneTimestepHasNoStrides() {
        let error = #expect(throws: StridedTimestepsError.self) {
            try Scheduler.strided(DirectMapping(), steps: 1)
        }
        #expect(error?.description.contains("a process of one timestep cannot be strided") == true)
    }
}
