import CVoxelKernels
import TestSupport
import Testing

@testable import NetworkEngine

/// Products of blocks are sums in double precision, whatever their sizes.
struct KernelsMultiplyTests {
    private struct Product {
        let rows, columnBlocks, innerBlocks, stride: Int
        let a: [Numbers]
        let b: Numbers
        /// Numbers between the column blocks of B and C that belong to nobody.
        let gap: Int
        let offset: Int

        init(rows: Int, columnBlocks: Int, innerBlocks: Int, stride: Int, _ generator: inout SeededGenerator) {
            (self.rows, self.columnBlocks, self.innerBlocks, self.stride) = (
                rows, columnBlocks, innerBlocks, stride
            )
            gap = Block.lanes * Int.random(in: 0...2, using: &generator)
            offset = Block.lanes * Int.random(in: 0...2, using: &generator)
            // As few numbers as there may be: the last row ends with its sixteenth.
            let length = offset + (rows - 1) * stride + Block.lanes
            a = (0..<innerBlocks).map { _ in Numbers(generator.floats(length)) }
            b = Numbers(generator.floats(columnBlocks * (innerBlocks * Block.lanes * Block.lanes + gap) - gap))
        }

        var rightStride: Int { innerBlocks * Block.lanes * Block.lanes + gap }
        var resultStride: Int { rows * Block.lanes + gap }

        /// The product, or with `times` above 1 its multiple: later products are added to the first.
        func result(_ kernels: voxel_kernels, times: Int = 1) -> [Float] {
            let result = Numbers(unwritten: columnBlocks * resultStride - gap)
            for time in 0..<times {
                kernels.multiply(
                    rows, columnBlocks, innerBlocks, a.map { UnsafePointer<Float>?($0.start) }, offset, stride,
                    b.start, rightStride, result.start, resultStride, time > 0)
            }
            return (0..<columnBlocks).flatMap { block in
                (0..<rows * Block.lanes).map { result[block * resultStride + $0] }
            }
        }

        var expected: [Double] {
            (0..<columnBlocks).flatMap { block in
                (0..<rows * Block.lanes).map { place in
                    var sum = 0.0
                    for inner in 0..<innerBlocks * Block.lanes {
                        let left = a[inner / Block.lanes][
                            offset + place / Block.lanes * stride + inner % Block.lanes]
                        sum +=
                            Double(left)
                            * Double(b[block * rightStride + inner * Block.lanes + place % Block.lanes])
                    }
                    return sum
                }
            }
        }
    }

    @Test func everyNumberOfRows() async {
        await checkKernels(cases: 2) { kernels, generator in
            for rows in 1...30 {
                for stride in [16, 32] {
                    let product = Product(
                        rows: rows, columnBlocks: Int.random(in: 1...3, using: &generator), innerBlocks: 2,
                        stride: stride, &generator)
                    try requireClose(
                        product.result(kernels), product.expected, tolerance: 3e-6,
                        "a product of \(rows) rows, \(stride) apart")
                }
            }
        }
    }

    @Test func everyNumberOfBlocks() async {
        await checkKernels(cases: 2) { kernels, generator in
            for columnBlocks in 1...5 {
                for innerBlocks in 1...4 {
                    let product = Product(
                        rows: generator.size(in: 1...60), columnBlocks: columnBlocks, innerBlocks: innerBlocks,
                        stride: Bool.random(using: &generator) ? 16 : 32, &generator)
                    try requireClose(
                        product.result(kernels), product.expected, tolerance: 6e-6,
                        "a product of \(columnBlocks) column and \(innerBlocks) inner blocks")
                    try requireClose(
                        product.result(kernels, times: 3), product.expected.map { 3 * $0 }, tolerance: 2e-5,
                        "three times that product")
                }
            }
        }
    }

    /// A row's result is a function of the row: alone, it has the same bits.
    @Test func aRowHasTheSameBitsAlone() async {
        await checkKernels(cases: 10) { kernels, generator in
            let product = Product(
                rows: generator.size(in: 1...45), columnBlocks: generator.size(in: 1...3), innerBlocks: 3,
                stride: 16, &generator)
            let whole = product.result(kernels)
            let starts = product.a.map { UnsafePointer<Float>?($0.start) }
            for row in 0..<product.rows {
                for block in 0..<product.columnBlocks {
                    let alone = Numbers(unwritten: Block.lanes)
                    kernels.multiply(
                        1, 1, 3, starts, product.offset + row * 16, 16,
                        product.b.start + block * product.rightStride, product.rightStride, alone.start, 16,
                        false)
                    let place = (block * product.rows + row) * Block.lanes
                    try #require(alone.values == Array(whole[place..<place + Block.lanes]))
                }
            }
        }
    }
}
