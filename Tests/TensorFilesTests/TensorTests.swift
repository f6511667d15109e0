import TensorFiles
import TestSupport
import Testing

/// Operations that move a tensor's numbers and leave them as they are.
struct TensorTests {
    @Test func slicesJoinedAgainAreTheWhole() async {
        await checkLaw { generator in
            let shape = (0..<4).map { _ in Int.random(in: 1...5, using: &generator) }
            let x = randomTensor(shape, &generator)
            let axis = Int.random(in: 0..<4, using: &generator)
            let cut = Int.random(in: 0...shape[axis], using: &generator)
            let (first, second) = (x.slice(axis: axis, 0..<cut), x.slice(axis: axis, cut..<shape[axis]))
            try #require(Tensor.concatenated([first, second], axis: axis) == x)
            try #require(
                second
                    == tabulated(second.shape) { at in
                        var at = at
                        at[axis] += cut
                        return x.at(at)
                    })
        }
    }

    @Test func transposingExchangesTheLastTwoAxes() async {
        await checkLaw { generator in
            let shape = (0..<3).map { _ in Int.random(in: 1...40, using: &generator) }
            let x = randomTensor(shape, &generator)
            try #require(
                x.transposed() == tabulated([shape[0], shape[2], shape[1]]) { x.at([$0[0], $0[2], $0[1]]) })
            try #require(x.transposed().transposed() == x)
        }
    }

    @Test func copiesAreValues() {
        let a = Tensor(shape: [2, 2])
        var b = a
        b[1, 0] = 5
        #expect(a.values == [0, 0, 0, 0])
        #expect(b.values == [0, 0, 5, 0])
        #expect(b.reshaped([4]).shape == [4])
    }
}
