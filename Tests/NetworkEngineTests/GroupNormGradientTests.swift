import Networks
import TensorFiles
import TestSupport
import Testing

@testable import NetworkEngine

struct GroupNormGradientTests {
    /// Where a group is one channel, a number added to all its pixels changes nothing: the gradient of the bias before
    /// it is 0, and comes out as far less than a pixel's gradient is rounded by.
    @Test func biasesThatChangeNothingHaveNoGradient() async {
        await checkLaw(cases: 20) { generator in
            let shape = [generator.size(in: 1...3), 3, generator.size(in: 4...40), generator.size(in: 4...40)]
            let image = Tensor(shape: shape, values: generator.floats(shape.reduce(1, *)))
            let network = NormalizedConvolution()
            let parameters = network.parameters.reduce(into: [:]) {
                $0[$1.name] = Tensor(
                    shape: $1.shape, values: generator.floats($1.shape.reduce(1, *), in: -2...2))
            }
            let (_, gradients) = try NetworkGradients(options: ComputeOptions(threads: 1))(
                network, parameters: parameters, images: [image], shared: []
            ) { (0, Tensor(shape: $0.shape, values: generator.floats($0.count))) }
            let sizes = gradients["convolution.weight"]!.values.map { Double(abs($0)) }
            let bias = gradients["convolution.bias"]!.values.map { Double(abs($0)) }
            try #require(sizes.max()! > 1e-3)
            // One rounding of one pixel for each image; in single precision it would be one for every pixel.
            try #require(bias.max()! < 2e-7 * Double(shape[0]), "\(bias.max()!) of \(shape)")
        }
    }
}

/// A convolution to 32 channels, and their normalisation, each alone.
private struct NormalizedConvolution: Network {
    let convolution = Convolution("convolution", inputs: 3, outputs: 32, kernel: [3, 3])
    let norm = GroupNorm("norm", channels: 32)

    var parameters: [Parameter] { convolution.parameters + norm.parameters }

    func graph(batch: Int, size: [Int]) -> Graph {
        let builder = GraphBuilder()
        return builder.graph(endingIn: norm(convolution(builder.image([batch, 3] + size))))
    }
}
