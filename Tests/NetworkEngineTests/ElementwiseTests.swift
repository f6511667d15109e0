import TensorFiles
import TestSupport
import Testing

@testable import NetworkEngine

/// Resampling, and operations number by number.
struct ElementwiseTests {
    @Test(arguments: [[4], [2, 6], [4, 2, 6]])
    func poolingUndoesUpsampling(spatial: [Int]) async {
        await checkLaw(cases: 20) { generator in
            let x = randomTensor([2, 3] + spatial, &generator)
            let double = x.upsampled()
            try #require(
                double
                    == tabulated([2, 3] + spatial.map { $0 * 2 }) { x.at($0[..<2] + $0[2...].map { $0 / 2 }) })
            try #require(double.averagePooled() == x)
            let corners = indices(of: spatial.map { _ in 2 })
            let expected = tabulated([2, 3] + spatial.map { $0 / 2 }) { at in
                corners.reduce(0) { $0 + x.at(at[..<2] + zip(at[2...], $1).map { $0 * 2 + $1 }) }
                    / Double(corners.count)
            }
            try requireClose(x.averagePooled(), expected)
        }
    }

    @Test func channelsAreShiftedAndScaled() async {
        await checkLaw { generator in
            let x = randomTensor([2, 3, 2, 5], &generator)
            let (scale, shift) = (randomTensor([2, 3], &generator), randomTensor([2, 3], &generator))
            let channel = { (at: [Int]) in [at[0], at[1]] }
            try requireClose(
                x.shifted(by: shift), tabulated(x.shape) { x.at($0) + shift.at(channel($0)) }, tolerance: 3e-7)
            try requireClose(
                x.modulated(scale: scale, shift: shift),
                tabulated(x.shape) { x.at($0) * (1 + scale.at(channel($0))) + shift.at(channel($0)) },
                tolerance: 3e-7)
        }
    }

    @Test func numbersAreScaledAndShiftedByMaps() async {
        await checkLaw { generator in
            let shape = [2, 3] + (0..<generator.size(in: 1...3)).map { _ in generator.size(in: 1...4) }
            let (x, scale, shift) = (
                randomTensor(shape, &generator), randomTensor(shape, &generator),
                randomTensor(shape, &generator)
            )
            try requireClose(
                x.modulated(scale: scale, shift: shift),
                tabulated(shape) { x.at($0) * (1 + scale.at($0)) + shift.at($0) }, tolerance: 3e-7)
        }
    }

    @Test func sumsAndProducts() {
        let (a, b) = (Tensor(shape: [3], values: [1, 2, 3]), Tensor(shape: [3], values: [4, 5, 6]))
        #expect((a + b).values == [5, 7, 9])
        #expect((a * b).values == [4, 10, 18])
    }
}
