import CVoxelKernels
import TestSupport
import Testing

@testable import NetworkEngine

/// Weights are moved to the order of the kernels and back, from any address, and nothing beside them is read or written.
struct KernelsPackTests {
    @Test func packedWeightsAreTranspositions() async {
        await checkKernels(cases: 40) { kernels, generator in
            let (rows, groups) = (generator.size(in: 1...Block.lanes), generator.size(in: 1...20))
            let (places, gap) = (generator.size(in: 1...40), generator.size(in: 0...5))
            let shift = generator.size(in: 0...15)
            let rowStride = groups * places + gap
            let source = generator.floats(shift + rows * rowStride - gap)
            let isReversed = Bool.random(using: &generator)
            let result = Numbers(unwritten: groups * places * Block.lanes)
            let first = isReversed ? (places - 1) * groups * Block.lanes : 0
            source.withUnsafeBufferPointer {
                kernels.pack(
                    $0.baseAddress! + shift, rowStride, rows, groups, places, result.start + first, Block.lanes,
                    (isReversed ? -groups : groups) * Block.lanes)
            }
            for (group, place) in (0..<groups).flatMap({ g in (0..<places).map { (g, $0) } }) {
                let target = (isReversed ? places - 1 - place : place) * groups + group
                for lane in 0..<Block.lanes {
                    let expected =
                        lane < rows ? source[shift + lane * rowStride + group * places + place] : 0
                    try #require(result[target * Block.lanes + lane] == expected)
                }
            }
        }
    }

    @Test func unpackingReversesPacking() async {
        await checkKernels(cases: 40) { kernels, generator in
            let (rows, places) = (generator.size(in: 1...Block.lanes), generator.size(in: 1...70))
            let shift = generator.size(in: 0...15)
            let source = generator.floats(rows * places)
            let packed = Numbers(unwritten: places * Block.lanes)
            source.withUnsafeBufferPointer {
                kernels.pack($0.baseAddress, places, rows, 1, places, packed.start, 0, Block.lanes)
            }
            var result = [Float](repeating: 7, count: shift + rows * places + 20)
            result.withUnsafeMutableBufferPointer {
                kernels.unpack(packed.start, Block.lanes, places, rows, $0.baseAddress! + shift, places)
            }
            try #require(Array(result[shift..<shift + rows * places]) == source)
            try #require(result[..<shift].allSatisfy { $0 == 7 } && result.suffix(20).allSatisfy { $0 == 7 })
        }
    }

    @Test func transpositions() async {
        await checkKernels(cases: 5) { kernels, generator in
            let source = Numbers(generator.floats(Block.lanes * Block.lanes))
            let result = Numbers(unwritten: Block.lanes * Block.lanes)
            kernels.transpose(source.start, Block.lanes, result.start, Block.lanes)
            for (row, lane) in (0..<16).flatMap({ r in (0..<16).map { (r, $0) } }) {
                try #require(result[row * 16 + lane] == source[lane * 16 + row])
            }
        }
    }

    @Test func gradientsOfRectifiers() async {
        await checkKernels(cases: 10) { kernels, generator in
            let pixels = generator.size(in: 1...20)
            var x = generator.floats(pixels * Block.lanes, in: -1...1)
            for index in x.indices where Bool.random(using: &generator) { x[index] = 0 }
            let slope = Float.random(in: 0...1, using: &generator)
            let gradient = Numbers(generator.floats(x.count, in: -1...1))
            let result = Numbers(unwritten: x.count)
            let numbers = Numbers(x)
            kernels.rectify_gradient(numbers.start, gradient.start, slope, pixels, result.start)
            for index in x.indices {
                try #require(result[index] == (x[index] > 0 ? gradient[index] : slope * gradient[index]))
            }
        }
    }
}
