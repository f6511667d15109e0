import Networks
import TensorFiles
import TestSupport
import Testing

@testable import NetworkEngine

/// Operations of any sizes, by the plain evaluator, against loops in double precision.
struct PlainOperationTests {
    private func evaluate(
        _ x: Tensor, _ parameters: [String: Tensor] = [:], _ compose: (GraphValue) -> GraphValue
    ) throws -> Tensor {
        let builder = GraphBuilder()
        let graph = builder.graph(endingIn: compose(builder.image(x.shape)))
        return try PlainEvaluator(parameters: parameters)(graph, images: [x])
    }

    @Test(arguments: 1...3)
    func convolutionsOverAnyAxes(axes: Int) async {
        await checkLaw(cases: 60) { generator in
            let kernel = (0..<axes).map { _ in generator.size(in: 1...3) }
            let padding = kernel.map { _ in
                Convolution.Padding(before: generator.size(in: 0...2), after: generator.size(in: 0...2))
            }
            let layer = Convolution(
                "c", inputs: generator.size(in: 1...3), outputs: generator.size(in: 1...4), kernel: kernel,
                stride: kernel.map { _ in generator.size(in: 1...3) }, padding: padding,
                hasBias: Bool.random(using: &generator))
            let spatial = kernel.map { $0 + generator.size(in: 0...4) }
            let x = randomTensor([generator.size(in: 1...2), layer.weight.shape[1]] + spatial, &generator)
            let parameters = layer.parameters.reduce(into: [:]) {
                $0[$1.name] = randomTensor($1.shape, &generator)
            }
            let (weight, bias) = (parameters["c.weight"]!, parameters["c.bias"])
            let shape: [Int] = [x.shape[0], weight.shape[0]] + layer.extents(of: spatial)
            let expected = tabulated(shape) { (at: [Int]) -> Double in
                indices(of: Array(weight.shape[1...])).reduce(bias?.at([at[1]]) ?? 0) {
                    (sum: Double, place: [Int]) in
                    let source = (0..<axes).map { (axis: Int) -> Int in
                        at[2 + axis] * layer.stride[axis] + place[1 + axis] - layer.padding[axis].before
                    }
                    guard zip(source, spatial).allSatisfy({ (0..<$1).contains($0) }) else { return sum }
                    let number = x.at([at[0], place[0]] + source)
                    return sum + number * weight.at([at[1]] + place)
                }
            }
            try requireClose(try evaluate(x, parameters) { layer($0) }, expected)
        }
    }

    @Test func groupNormsOfAnyGroups() async {
        await checkLaw(cases: 60) { generator in
            let groups = generator.size(in: 1...4)
            let channels = groups * generator.size(in: 1...3)
            let layer =
                Bool.random(using: &generator)
                ? GroupNorm.instance("n", channels: channels, epsilon: 0.01)
                : GroupNorm(
                    "n", channels: channels, groups: groups, epsilon: 0.1,
                    isAffine: Bool.random(using: &generator))
            let x = randomTensor([2, channels, generator.size(in: 1...5), 3], &generator)
            let parameters = layer.parameters.reduce(into: [:]) {
                $0[$1.name] = randomTensor($1.shape, &generator)
            }
            let members = channels / layer.groups
            let expected = tabulated(x.shape) { at in
                let first = at[1] / members * members
                let group = indices(of: [members, x.shape[2], 3]).map {
                    x.at([at[0], first + $0[0], $0[1], $0[2]])
                }
                let mean = group.reduce(0, +) / Double(group.count)
                let variance = group.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(group.count)
                let normalized = (x.at(at) - mean) / (variance + Double(layer.epsilon)).squareRoot()
                return normalized * (parameters["n.weight"]?.at([at[1]]) ?? 1)
                    + (parameters["n.bias"]?.at([at[1]]) ?? 0)
            }
            try requireClose(try evaluate(x, parameters) { layer($0) }, expected, tolerance: 1e-5)
        }
    }

    @Test func rectifiers() throws {
        let x = Tensor(shape: [1, 1, 5], values: [-2, -0.5, 0, 3, .infinity])
        #expect(try evaluate(x) { $0.relu() }.values == [0, 0, 0, 3, .infinity])
        #expect(try evaluate(x) { $0.leakyReLU(slope: 0.25) }.values == [-0.5, -0.125, 0, 3, .infinity])
        let nan = Tensor(shape: [1, 1, 1], values: [.nan])
        #expect(try evaluate(nan) { $0.relu() }.values[0].isNaN)
    }

    @Test func productsOfValues() async {
        await checkLaw(cases: 10) { generator in
            let x = randomTensor([2, 3, 4], &generator)
            try #require(try evaluate(x) { $0 * $0.relu() }.values == x.values.map { $0 * max(0, $0) })
        }
    }

    @Test func elementsBecomeTheNearestEntryOfACodebook() async {
        await checkLaw(cases: 60) { generator in
            let (entries, width) = (generator.size(in: 1...6), generator.size(in: 1...4))
            let layer = Codebook("q", entries: entries, width: width)
            let x = randomTensor([2, width, generator.size(in: 1...4), 3], &generator)
            let codes = randomTensor([entries, width], &generator)
            let expected = tabulated(x.shape) { at in
                let distances = (0..<entries).map { entry in
                    (0..<width).reduce(0.0) {
                        let gap = x.at([at[0], $1, at[2], at[3]]) - codes.at([entry, $1])
                        return $0 + gap * gap
                    }
                }
                return codes.at([distances.firstIndex(of: distances.min()!)!, at[1]])
            }
            try #require(try evaluate(x, ["q.weight": codes]) { layer($0) } == expected)
        }
        let tie = Tensor(shape: [1, 1, 1], values: [0])
        let codes = Tensor(shape: [3, 1], values: [2, -1, 1])
        #expect(throws: Never.self) {
            let found = try evaluate(tie, ["q.weight": codes]) { Codebook("q", entries: 3, width: 1)($0) }
            #expect(found.values == [-1])
        }
    }
}
