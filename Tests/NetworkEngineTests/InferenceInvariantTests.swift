import Networks
import TensorFiles
import Testing

@testable import NetworkEngine

/// What does not fit stops the program before a kernel reads beyond the end of anything.
struct InferenceInvariantTests {
    /// A convolution from so many channels, of an image of four.
    struct OneConvolution: Network {
        let layer: Convolution
        var parameters: [Parameter] { layer.parameters }

        init(inputs: Int) { layer = Convolution("c", inputs: inputs, outputs: 4, kernel: [3, 3]) }

        func graph(batch: Int, size: [Int]) -> Graph {
            let builder = GraphBuilder()
            return builder.graph(endingIn: layer(builder.image([batch, 4] + size)))
        }

        static func evaluate(inputs: Int, image: [Int] = [1, 4, 2, 2], change: Int = 0) throws {
            let compiled = try CompiledNetwork(OneConvolution(inputs: inputs), planned: [2, 2]) { parameter in
                Tensor(shape: parameter.shape.map { $0 + change })
            }
            _ = try compiled(images: [Tensor(shape: image)], shared: [])
        }
    }

    @Test func whatFitsIsEvaluated() throws { try OneConvolution.evaluate(inputs: 4) }

    @Test func layersFitTheirImages() async {
        await #expect(processExitsWith: .failure) { try OneConvolution.evaluate(inputs: 3) }
    }

    @Test func parametersHaveTheShapesOfTheirLayers() async {
        await #expect(processExitsWith: .failure) { try OneConvolution.evaluate(inputs: 4, change: -1) }
    }

    @Test func imagesHaveTheChannelsOfTheNetwork() async {
        await #expect(processExitsWith: .failure) {
            try OneConvolution.evaluate(inputs: 4, image: [1, 3, 2, 2])
        }
    }
}
