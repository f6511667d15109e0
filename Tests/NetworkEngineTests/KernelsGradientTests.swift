import CVoxelKernels
import TestSupport
import Testing

@testable import NetworkEngine

/// Sums over pixels, and what must sum to 0, are those of double precision.
struct KernelsGradientTests {
    @Test func correlationsAreThoseOfDoublePrecision() async {
        await checkKernels(cases: 20) { kernels, generator in
            let pixels = generator.size(in: 1...700)
            // Far from zero, where sums in single precision would lose most.
            let x = Numbers(generator.floats(pixels * Block.lanes, in: 99...101))
            let y = Numbers(generator.floats(pixels * Block.lanes, in: -1...1))
            let center = Numbers(generator.floats(Block.lanes, in: -1...1))
            var (sums, products) = (
                [Double](repeating: 1, count: Block.lanes), [Double](repeating: 2, count: Block.lanes)
            )
            kernels.correlate(x.start, y.start, center.start, pixels, &sums, &products)
            for lane in 0..<Block.lanes {
                let places = (0..<pixels).map { $0 * Block.lanes + lane }
                let sum = places.reduce(1) { $0 + Double(x[$1]) }
                let product = places.reduce(2) {
                    $0 + Double(x[$1]) * (Double(y[$1]) - Double(center[lane]))
                }
                try #require(abs(sums[lane] - sum) <= 1e-12 * sum)
                try #require(abs(products[lane] - product) <= 1e-11 * Double(pixels))
            }
        }
    }

    /// Every pixel is right to rounding, and their sum to the rounding of one of them.
    @Test func blendsKeepTheirSum() async {
        await checkKernels(cases: 20) { kernels, generator in
            let pixels = generator.size(in: 1...700)
            let x = Numbers(generator.floats(pixels * Block.lanes, in: -1...1))
            let y = Numbers(generator.floats(pixels * Block.lanes, in: -1...1))
            let result = Numbers(unwritten: pixels * Block.lanes)
            let numbers = (0..<3 * Block.lanes).map { _ in Double.random(in: -1...1, using: &generator) }
            withUnsafeTemporaryAllocation(byteCount: numbers.count * 8, alignment: 128) { bytes in
                let coefficients = bytes.bindMemory(to: Double.self)
                _ = coefficients.initialize(from: numbers)
                kernels.blend_keeping_sum(x.start, y.start, pixels, coefficients.baseAddress, result.start)
            }
            for lane in 0..<Block.lanes {
                var gap = 0.0
                for place in (0..<pixels).map({ $0 * Block.lanes + lane }) {
                    let exact =
                        numbers[lane] * Double(x[place]) + numbers[Block.lanes + lane] * Double(y[place])
                        + numbers[2 * Block.lanes + lane]
                    // Half a unit in the last place of numbers below 4, of its own and from the pixel before.
                    try #require(abs(Double(result[place]) - exact) <= 0x1p-22)
                    gap += Double(result[place]) - exact
                }
                try #require(abs(gap) <= 0x1p-23, "the sum of \(pixels) is \(gap) off")
            }
        }
    }
}
