import NetworkEngine
import Networks
import TensorFiles
import Testing

/// What does not fit stops the program before a kernel reads beyond the end of anything.
struct InferenceInvariantTests {
    /// A convolution from so many channels, of an image of four.
    struct OneConvolution: CompilableNetwork {
        let layer: Convolution
        let imageChannels = [4]
        let sharedShapes: [[Int]] = []
        var parameters: [Parameter] { layer.parameters }

        init(inputs: Int) { layer = Convolution("c", inputs: inputs, outputs: 4, kernel: [3, 3]) }

        func callAsFunction<A: LayerArithmetic>(
            images: [A.Value], shared: [A.Value], with arithmetic: A
        ) -> A.Value { layer(images[0], with: arithmetic) }

        static func evaluate(inputs: Int, image: [Int] = [1, 4, 2, 2], change: Int = 0) throws {
            let compiled = try CompiledNetwork(OneConvolution(inputs: inputs), planned: (2, 2)) { parameter in
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
