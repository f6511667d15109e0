import Foundation
import TensorFiles
import TestSupport
import Testing
import VolumeTranslation

/// The sampled volumes of the reference implementation, computed in double precision with a small network.
@Suite(.enabled(if: Fixtures.hasReference, Fixtures.missingReference))
struct SamplingReferenceTests {
    @Test(arguments: SamplingCase.all)
    func agreesWithTheReference(_ setting: SamplingCase) async throws {
        let reference = try SamplingReference()
        let sampler = SliceSampler(
            scheduler: BrownianBridge(steps: 8, stepRule: setting.stepRule),
            denoiser: UNetDenoiser(reference.network, parameterization: setting.parameterization),
            aggregation: setting.aggregation, corrector: setting.corrector)
        let sampled = try await sampler.sample(from: reference.source, conditioning: reference.style)
        for name in setting.names {
            let error = relativeL2(sampled.voxels, try reference.values(name))
            // The network's own error, about 1e-6 with plain convolutions, grows on the way: to 7e-6 in
            // the worst of the cases. Faster convolutions may cost a digit.
            #expect(error < 1e-4, "\(name)")
        }
    }

    /// Every volume of the file is compared, and none but those.
    @Test func theReferenceHoldsNothingElse() throws {
        let names = try SamplingReference().names
        #expect(Set(names) == Set(SamplingCase.all.flatMap(\.names)).union(["source", "key"]))
    }

    /// A test that any sampling passes would be none.
    @Test func theReferencesDiffer() throws {
        let reference = try SamplingReference()
        let first = try reference.values("ista.M1.paper.reference-step")
        for other in SamplingCase.all.flatMap(\.names) where other != "ista.M1.paper.reference-step" {
            let difference = relativeL2(try reference.values(other), first)
            #expect(difference > 2e-3, "\(other) differs by \(difference) alone")
        }
    }
}

/// A way to sample, as the names of the reference tell of it: mode.M#.scaling.step-rule[.parameterisation].
struct SamplingCase: CustomTestStringConvertible, Sendable {
    let mode: String
    let corrections: Int
    /// The scalings that give one and the same volume: where nothing is corrected, both.
    let scalings: [ScoreCorrector.Scaling]
    let stepRule: StepRule
    var parameterization = Parameterization.gradient

    static let all: [SamplingCase] =
        StepRule.allCases.flatMap { rule in
            let uncorrected = ["independent", "co-predict"].map {
                SamplingCase(mode: $0, corrections: 0, scalings: [.paper, .reference], stepRule: rule)
            }
            let corrected = [("ista", 1), ("ista", 2), ("ista-middle", 1)].flatMap { mode, corrections in
                ScoreCorrector.Scaling.allCases.map {
                    SamplingCase(mode: mode, corrections: corrections, scalings: [$0], stepRule: rule)
                }
            }
            return uncorrected + corrected
        }
        + [Parameterization.noise, .difference].map {
            SamplingCase(
                mode: "ista", corrections: 1, scalings: [.paper], stepRule: .reference, parameterization: $0)
        }

    var names: [String] {
        let rule = stepRule == .reference ? "reference-step" : "marginal-step"
        let suffix =
            switch parameterization {
            case .noise: ".noise"
            case .difference: ".ysubx"
            case .gradient, .sample, .velocity: ""
            }
        return scalings.map { "\(mode).M\(corrections).\($0.rawValue).\(rule)\(suffix)" }
    }

    var testDescription: String { names.joined(separator: " = ") }

    var aggregation: (any SliceAggregation)? { mode == "independent" ? nil : .mean }

    var corrector: ScoreCorrector? {
        guard corrections > 0 else { return nil }
        let score: any SliceAggregation = mode == "ista-middle" ? .middleSlice : .mean
        return ScoreCorrector(steps: corrections, stepSize: 0.5, scaling: scalings[0], aggregation: score)
    }
}

/// The file of sampled volumes, and the network that they were sampled with.
struct SamplingReference {
    let network: UNet
    let source: Volume
    let style: StyleKey
    private let file: Safetensors

    init() throws {
        network = try UNet(
            weights: Fixtures.reference("unet_b.safetensors"), configuration: Fixtures.reference("unet_b.json"))
        file = try Safetensors(contentsOf: Fixtures.reference("sampling_b.safetensors"))
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
