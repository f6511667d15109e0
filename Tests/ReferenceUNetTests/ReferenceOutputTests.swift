import Foundation
import ReferenceUNet
import Tensors
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
        #expect(throws: UNetError.self) {
            try UNet(weights: Fixtures.reference("unet_a.safetensors"), configuration: configuration)
        }
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

    func evaluate() throws -> Tensor { try network(x: x, y: y, timesteps: timesteps, key: key) }
}
