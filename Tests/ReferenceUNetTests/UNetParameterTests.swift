import Foundation
import Networks
import ReferenceUNet
import TensorFiles
import TestSupport
import Testing

struct UNetParameterTests {
    @Test func thePublishedNetworkHasItsParameters() {
        let parameters = UNetArchitecture(.ct2mri).parameters
        #expect(Set(parameters.map(\.name)).count == parameters.count)
        let count = parameters.reduce(0) { $0 + $1.shape.reduce(1, *) }
        #expect((Double(count) / 1e5).rounded() == 2541)
    }

    @Test func whatIsMissingExtraOrMisshapenIsListed() throws {
        var generator = SeededGenerator(seed: 1)
        var parameters = UNetConfiguration.small.randomParameters(&generator)
        parameters["out.3.bias"] = parameters.removeValue(forKey: "out.2.bias")
        parameters["time_embed.0.bias"] = Tensor(shape: [127])
        let error = #expect(throws: ParameterError.self) { try network(of: parameters, prefix: "denoise_fn.") }
        guard case .mismatch(_, _, let missing, let extra, let misshapen) = error else {
            Issue.record("found \(String(describing: error))")
            return
        }
        #expect(missing == ["denoise_fn.out.2.bias"])
        #expect(extra == ["denoise_fn.out.3.bias"])
        #expect(misshapen.map(\.name) == ["denoise_fn.time_embed.0.bias"])
        #expect(misshapen.map(\.found) == [[127]] && misshapen.map(\.expected) == [[128]])
        for part in ["out.2.bias", "out.3.bias", "time_embed.0.bias [127], expected [128]"] {
            #expect(error?.description.contains(part) == true)
        }
    }

    @Test func longListsAreCutAfterTen() throws {
        let error = #expect(throws: ParameterError.self) { try network(of: [:]) }
        let count = UNetArchitecture(.small).parameters.count
        let description = try #require(error?.description)
        #expect(description.contains("\(count) missing:"))
        #expect(description.contains("... and \(count - 10) more"))
        #expect(description.split(separator: "\n").count == 13)
    }

    @Test func aNameWithoutPrefixAmongOthersWithItIsExtra() throws {
        var generator = SeededGenerator(seed: 2)
        var parameters = UNetConfiguration.small.randomParameters(&generator)
        parameters["denoise_fn.out.2.bias"] = parameters["out.2.bias"]
        #expect(throws: ParameterError.self) { try network(of: parameters) }
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity])
    func numbersThatAreNotFiniteAreRefused(number: Float) throws {
        var generator = SeededGenerator(seed: 3)
        var parameters = UNetConfiguration.small.randomParameters(&generator)
        parameters["middle_block.0.in_layers.2.weight"]?.values[12345] = number
        let error = #expect(throws: ParameterError.self) { try network(of: parameters) }
        guard case .notFinite(_, let parameter) = error else {
            Issue.record("found \(String(describing: error))")
            return
        }
        #expect(parameter == "middle_block.0.in_layers.2.weight")
    }
}
