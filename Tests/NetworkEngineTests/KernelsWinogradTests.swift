import CVoxelKernels
import TestSupport
import Testing

@testable import NetworkEngine

/// Into the Winograd domain, multiplied and back is a 3 x 3 convolution.
struct KernelsWinogradTests {
    @Test func aRowOfTilesIsAConvolution() async {
        await checkKernels(cases: 20) { kernels, generator in
            let (rows, columns) = (generator.size(in: 1...4), generator.size(in: 1...21))
            let tiles = (columns + 3) / 4
            // Rows lie further apart than they are long; so do frequencies.
            let rowStride = (tiles * 4 + 2 + generator.size(in: 0...2)) * Block.lanes
            let image = Numbers(generator.floats(5 * rowStride + (tiles * 4 + 2) * Block.lanes))
            let weights = Numbers(generator.floats(Block.lanes * 9 * Block.lanes))
            let (bias, residual) = (
                Numbers(generator.floats(Block.lanes)), Numbers(generator.floats(rows * columns * Block.lanes))
            )

            let stride = (tiles + generator.size(in: 0...1)) * Block.lanes
            let (input, output) = (Numbers(unwritten: 36 * stride), Numbers(unwritten: 36 * stride))
            let transformed = Numbers(unwritten: 36 * Block.lanes * Block.lanes)
            kernels.winograd_weights(weights.start, 9 * Block.lanes, transformed.start, Block.lanes * Block.lanes)
            kernels.winograd_input(image.start, rowStride, tiles, input.start, stride)
            for frequency in 0..<36 {
                kernels.multiply(
                    tiles, 1, 1, [UnsafePointer(input.start)], frequency * stride, Block.lanes,
                    transformed.start + frequency * Block.lanes * Block.lanes, Block.lanes * Block.lanes,
                    output.start + frequency * stride, tiles * Block.lanes, false)
            }
            var moments = voxel_moments()
            let adds = Bool.random(using: &generator)
            let result = Numbers(unwritten: rows * columns * Block.lanes)
            withUnsafeMutablePointer(to: &moments) { moments in
                var finish = voxel_finish(
                    bias: bias.start, residual: adds ? UnsafePointer(residual.start) : nil, moments: moments)
                kernels.winograd_output(
                    output.start, stride, rows, columns, &finish, result.start, columns * Block.lanes)
            }

            let expected = (0..<rows * columns * Block.lanes).map { place in
                let (row, column, lane) = (
                    place / Block.lanes / columns, place / Block.lanes % columns, place % Block.lanes
                )
                var sum = Double(bias[lane]) + (adds ? Double(residual[place]) : 0)
                for kernel in 0..<9 {
                    let pixel = (row + kernel / 3) * rowStride + (column + kernel % 3) * Block.lanes
                    for inner in 0..<Block.lanes {
                        sum +=
                            Double(image[pixel + inner])
                            * Double(weights[(inner * 9 + kernel) * Block.lanes + lane])
                    }
                }
                return sum
            }
            try requireClose(result.values, expected, tolerance: 1e-4)
            try #require(moments.count == Double(rows * columns))
            let first = Swift.stride(from: 0, to: result.count, by: Block.lanes).map { Double(result[$0]) }
            let mean = first.reduce(0, +) / Double(first.count)
            let spread = first.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
            try #require(abs(moments.mean.0 - mean) < 1e-5)
            try #require(abs(moments.deviation.0 - spread) <= 1e-5 * max(1, spread))
        }
    }
}
