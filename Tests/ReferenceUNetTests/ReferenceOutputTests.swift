import Foundation
import Networks
import ReferenceUNet
import TensorFiles
import TestSupport
import Testing

/// Each network's output on stored inputs, computed in double precision by other software.
@Suite(.enabled(if: Fixtures.hasReference, Fixtures.missingReference))
struct ReferenceOutputTests {
    /// a: residual resampling, attention in the middle. b: convolved resampling, added embedding, attention
    /// everywhere. c: self-attention without a style key. d: windows of 5 slices, keys of 64 bins.
    @Test(arguments: ["a", "b", "c", "d"])
    func outputAgrees(name: String) throws {
        let network = try ReferenceNetwork(name)
        let output = try network.evaluate()
        #expect(output.shape == network.expected.shape)
        let error = relativeL2(output.values, network.expected.values)
        print("network \(name): relative L2 \(error)")
        // Single precision leaves 2e-6 and Winograd convolution 7e-6.
        #expect(error < 2e-5)
    }

    @Test func weightsOfAnotherNetworkAreRefused() throws {
        let configuration = try UNetConfiguration(contentsOf: Fixtures.reference("unet_b.json"))
        let error = #expect(throws: NetworkConfigurationError.self) {
            try UNet(weights: Fixtures.reference("unet_a.safetensors"), configuration: configuration)
        }
        #expect(error?.field == "num_res_blocks" && error?.found == "1")
        #expect(error?.expected.hasPrefix("2, as the parameters in") == true)
    }

    /// A training checkpoint's averaged weights, read directly and from the file that they are imported to.
    @Test func aCheckpointsOutputAgrees() throws {
        let inputs = try ReferenceNetwork("a")
        let expected = try Safetensors(contentsOf: Fixtures.reference("checkpoint_a_ema_out.safetensors"))
        let checkpoint = Fixtures.reference("checkpoint_a.pth")
        let weights = try UNetWeights(contentsOf: checkpoint, configuration: Fixtures.reference("unet_a.json"))
        let output = try inputs.evaluate(UNet(weights))
        let error = relativeL2(output.values, try expected.tensor("out").values)
        print("checkpoint a: relative L2 \(error)")
        #expect(error < 2e-5)
        #expect(weights.selection == .ema && weights.available == [.model, .ema])

        try withTemporaryFolder { folder in
            let imported = folder.appending(path: "imported.safetensors")
            try Safetensors.write(weights, metadata: weights.metadata, to: imported)
            let network = try UNet(weights: imported)
            #expect(network.configuration == weights.configuration)
            #expect(try inputs.evaluate(network) == output)
        }
        let model = try UNet(weights: checkpoint, configuration: weights.configuration, selection: .model)
        #expect(try inputs.evaluate(model) != output)
    }
}

/// One of the reference networks, with its inputs and the output expected.
struct ReferenceNetwork {
    let network: UNet
    let x, y, expected: Tensor
    let timesteps: [Float]
    let key: Tensor?

    init(_ name: String) throws {
        network = try UNet(
            weights: Fixtures.reference("unet_\(name).safetensors"),
            configuration: Fixtures.reference("unet_\(name).json"))
        let file = try Safetensors(contentsOf: Fixtures.reference("unet_\(name)_io.safetensors"))
        x = try file.tensor("x")
        y = try file.tensor("y")
        expected = try file.tensor("out")
        timesteps = try file.tensor("t").values
        key = network.configuration.contextWidth == nil ? nil : try file.tensor("key")
    }

    func evaluate(_ other: UNet? = nil) throws -> Tensor {
        try (other ?? network)(x: x, y: y, timesteps: timesteps, key: key)
    }
}
