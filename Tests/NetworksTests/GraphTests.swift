import Networks
import Testing

struct GraphTests {
    @Test func nodesHaveTheShapesOfTheirResults() {
        let builder = GraphBuilder()
        let x = builder.image([2, 4, 6, 8, 10])
        let padding = [(0, 1), (1, 1), (2, 0)].map { Convolution.Padding(before: $0, after: $1) }
        let convolution = Convolution(
            "c", inputs: 4, outputs: 3, kernel: [2, 3, 4], stride: [1, 2, 3], padding: padding, hasBias: false)
        #expect(convolution(x).shape == [2, 3, 6, 4, 3])
        #expect(convolution.parameters == [Parameter("c.weight", [3, 4, 2, 3, 4])])
        #expect(x.averagePooled().shape == [2, 4, 3, 4, 5] && x.upsampled().shape == [2, 4, 12, 16, 20])
        #expect(GraphValue.concatenated([x, x.slice(axis: 1, 1..<3)], axis: 1).shape == [2, 6, 6, 8, 10])
        let tokens = x.reshaped([2, 4, 480]).transposed()
        #expect(tokens.shape == [2, 480, 4] && tokens.isTokens && !tokens.transposed().isTokens)
        let context = Linear("l", inputs: 7, outputs: 4)(builder.shared([2, 3, 7]))
        #expect(context.shape == [2, 3, 4] && context.isTokens)
        #expect(tokens.attention(keys: context, values: context, heads: 2).shape == [2, 480, 4])
        #expect(GroupNorm.instance(channels: 4)(x).shape == x.shape)
    }

    @Test func aGraphHasWhatItsResultNeeds() {
        let builder = GraphBuilder()
        let (x, unused) = (builder.image([1, 2, 4, 4]), builder.image([1, 2, 4, 4]))
        _ = unused.silu()
        let result = x.relu() + x
        _ = result.gelu()
        let graph = builder.graph(endingIn: result)
        #expect(graph.nodes.map(\.operation.name) == ["image", "relu", "sum"])
        #expect(graph.nodes[2].operands == [1, 0])
        #expect(graph.imageShapes.count == 2)
        #expect(graph.nodes[1].description == "relu to [1, 2, 4, 4]")
    }

    @Test func segmentsNameWhatTheyTakeFromOutside() {
        let builder = GraphBuilder()
        let (x, time) = (builder.image([1, 2, 4, 4]), builder.shared([1, 2]))
        let dropped = x.segment { $0.silu() }
        let first = x.segment { x in x.segment { $0.shifted(by: time) }.silu() }
        let second = first.segment { $0.gelu() + x }
        _ = dropped
        let graph = builder.graph(endingIn: second)
        #expect(graph.segments.map(\.nodes) == [2..<4, 4..<6])
        #expect(graph.segments.map(\.inputs) == [[0, 1], [0, 3]])
    }

    @Test func valuesOfOtherShapesAreMistakes() async {
        await #expect(processExitsWith: .failure) {
            let builder = GraphBuilder()
            _ = builder.image([1, 2, 4, 4]) * builder.image([1, 2, 4, 5])
        }
        await #expect(processExitsWith: .failure) {
            _ = GraphBuilder().image([1, 2, 4, 4]) + GraphBuilder().image([1, 2, 4, 4])
        }
        await #expect(processExitsWith: .failure) {
            var inner: GraphValue?
            let builder = GraphBuilder()
            let x = builder.image([1, 2, 4, 4]).segment {
                inner = $0.silu()
                return inner!.gelu()
            }
            _ = builder.graph(endingIn: x + inner!)
        }
    }

    /// Every parameter of a network is used, in the order in which the network lists them but for the embedding.
    @Test func aUNetsGraphUsesItsParameters() {
        let network = UNetArchitecture(.ct2mri)
        let graph = network.graph(batch: 3, size: [16, 24])
        #expect(Set(graph.nodes.flatMap(\.operation.parameters)) == Set(network.parameters))
        #expect(graph.imageShapes == [[3, 3, 16, 24], [3, 3, 16, 24]])
        #expect(graph.sharedShapes == [[3, 128], [3, 3, 128]])
        #expect(graph.nodes.last?.shape == [3, 3, 16, 24])
        let larger = network.graph(batch: 1, size: [32, 32])
        #expect(larger.nodes.count == graph.nodes.count && larger.nodes.last?.shape == [1, 3, 32, 32])
    }
}
