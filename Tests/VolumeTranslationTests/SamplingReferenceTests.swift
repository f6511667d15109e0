import Foundation
import TensorFiles
import TestSupport
import Testing
import VoxelBridge

/// The sampled volumes of the reference implementation, computed in double precision with a small network.
@Suite(.enabled(if: Fixtures.hasReference, Fixtures.missingReference))
struct SamplingReferenceTests {
    @Test(arguments: SamplingCase.all + SamplingCase.clipped)
    func agreesWithTheReference(_ setting: SamplingCase) async throws {
        let reference = try SamplingReference(isClipped: setting.isClipped)
        let sampler = SliceSampler(
            scheduler: Scheduler(BrownianBridge(), steps: 8, solver: setting.solver),
            denoiser: UNetDenoiser(reference.network, predictionType: setting.predictionType),
            aggregation: setting.aggregation, corrector: setting.corrector,
            scoreAggregation: setting.scoreAggregation, clip: setting.isClipped ? -1...1 : nil)
        let sampled = try await sampler.sample(from: reference.source, conditioning: reference.style)
        for name in setting.names {
            let error = relativeL2(sampled.voxels, try reference.values(name))
            // The network's own error, about 2e-6, grows on the way: most where steps are longest, with the paper's
            // numerator and no clipping.
            #expect(error < (setting.isClipped ? 1e-5 : 1e-4), "\(name)")
        }
    }

    /// Every volume of the files is compared, and none but those.
    @Test func theReferencesHoldNothingElse() throws {
        for (isClipped, cases) in [(false, SamplingCase.all), (true, SamplingCase.clipped)] {
            let names = try SamplingReference(isClipped: isClipped).names
            #expect(Set(names) == Set(cases.flatMap(\.names)).union(["source", "key"]))
        }
    }

    /// A test that any sampling passes would be none.
    @Test func theReferencesDiffer() throws {
        let reference = try SamplingReference(isClipped: false)
        let first = try reference.values("ista.M1.paper.reference-step")
        for other in SamplingCase.all.flatMap(\.names) where other != "ista.M1.paper.reference-step" {
            let difference = relativeL2(try reference.values(other), first)
            #expect(difference > 2e-3, "\(other) differs by \(difference) alone")
        }
        let clipped = try SamplingReference(isClipped: true)
        for name in SamplingCase.clipped.flatMap(\.names) {
            #expect(relativeL2(try clipped.values(name), try reference.values(name)) > 2e-3, "\(name)")
        }
    }
}

/// A way to sample, by the names of the reference: mode.M#.scaling.step-rule[.prediction type].
struct SamplingCase: CustomTestStringConvertible, Sendable {
    let mode: String
    let corrections: Int
    /// The scalings that give one and the same volume: where nothing is corrected, both.
    let scalings: [ScoreCorrector.Scaling]
    /// Whether the step is the published one; else it keeps the marginals.
    let isPublished: Bool
    var predictionType = PredictionType.gradient
    var isClipped = false

    static let all: [SamplingCase] =
        cases(isPublished: true) + cases(isPublished: false)
        + [PredictionType.noise, .difference].map {
            SamplingCase(
                mode: "ista", corrections: 1, scalings: [.paper], isPublished: true, predictionType: $0)
        }

    static let clipped: [SamplingCase] = cases(isPublished: true).map { setting in
        var setting = setting
        setting.isClipped = true
        return setting
    }

    private static func cases(isPublished: Bool) -> [SamplingCase] {
        let uncorrected = ["independent", "co-predict"].map {
            SamplingCase(
                mode: $0, corrections: 0, scalings: [.paper, .reference], isPublished: isPublished)
        }
        let corrected = [("ista", 1), ("ista", 2), ("ista-middle", 1)].flatMap { mode, corrections in
            ScoreCorrector.Scaling.allCases.map {
                SamplingCase(mode: mode, corrections: corrections, scalings: [$0], isPublished: isPublished)
            }
        }
        return uncorrected + corrected
    }

    var names: [String] {
        let rule = isPublished ? "reference-step" : "marginal-step"
        let suffix =
            switch predictionType {
            case .noise: ".noise"
            case .difference: ".ysubx"
            case .gradient, .sample, .velocity: ""
            }
        return scalings.map { "\(mode).M\(corrections).\($0.rawValue).\(rule)\(suffix)" }
    }

    var testDescription: String { names.joined(separator: " = ") + (isClipped ? ", clipped" : "") }

    var solver: any Solver { isPublished ? .published() : .ddim() }

    var aggregation: (any SliceAggregation)? { mode == "independent" ? nil : .mean }

    var scoreAggregation: (any SliceAggregation)? { mode == "ista-middle" ? .middleSlice : nil }

    var corrector: ScoreCorrector? {
        guard corrections > 0 else { return nil }
        return ScoreCorrector(steps: corrections, stepSize: 0.5, scaling: scalings[0], isBounded: false)
    }
}

/// The file of sampled volumes, and the network that they were sampled with.
struct SamplingReference {
    let network: UNet
    let source: Volume
    let style: StyleKey
    private let file: Safetensors

    init(isClipped: Bool) throws {
        network = try UNet(
            weights: Fixtures.reference("unet_b.safetensors"), configuration: Fixtures.reference("unet_b.json"))
        file = try Safetensors(
            contentsOf: Fixtures.reference(isClipped ? "sampling_b_clip.safetensors" : "sampling_b.safetensors")
        )
        // Slices, rows, columns, the last fastest: the order of a volume's voxels.
        let slices = try file.tensor("source")
        source = Volume(
            grid: VoxelGrid(shape: [slices.shape[2], slices.shape[1], slices.shape[0]]), voxels: slices.values)
        let tokens = try file.tensor("key")
        let bins = tokens.shape[1]
        style = try StyleKey(
            histogram: Array(tokens.values[..<bins]), cumulative: Array(tokens.values[bins..<2 * bins]),
            difference: Array(tokens.values[(2 * bins)...]))
    }

    var names: [String] { file.names }

    func values(_ name: String) throws -> [Float] { try file.tensor(name).values }
}
