import CVoxelKernels
import TestSupport
import Testing

@testable import NetworkEngine

/// Finishing adds bias and residual, and its moments are those of double precision.
struct KernelsFinishTests {
    @Test func biasAndResidualAreAdded() async {
        await checkKernels(cases: 30) { kernels, generator in
            let pixels = generator.size(in: 1...20)
            let block = Numbers(generator.floats(pixels * Block.lanes))
            let residual = Numbers(generator.floats(pixels * Block.lanes))
            let bias = Numbers(generator.floats(Block.lanes))
            let (adds, biases) = (Bool.random(using: &generator), Bool.random(using: &generator))
            let expected = (0..<pixels * Block.lanes).map { place in
                Double(block[place]) + (biases ? Double(bias[place % Block.lanes]) : 0)
                    + (adds ? Double(residual[place]) : 0)
            }
            var finish = voxel_finish(
                bias: biases ? UnsafePointer(bias.start) : nil,
                residual: adds ? UnsafePointer(residual.start) : nil, moments: nil)
            kernels.finish(block.start, pixels, &finish)
            try requireClose(block.values, expected, tolerance: 2e-7)
        }
    }

    /// Runs of any lengths, joined; about a mean that is ten million times the deviation.
    @Test(arguments: [0, 1, 1e4] as [Float])
    func momentsAreThoseOfDoublePrecision(mean: Float) async {
        await checkKernels(cases: 20) { kernels, generator in
            let spread: Float = mean == 1e4 ? 0.01 : 1
            var moments = voxel_moments()
            var all: [Float] = []
            for _ in 0..<generator.size(in: 1...4) {
                let pixels = generator.size(in: 1...700)
                let block = Numbers(generator.floats(pixels * Block.lanes, in: mean - spread...mean + spread))
                withUnsafeMutablePointer(to: &moments) { moments in
                    var finish = voxel_finish(bias: nil, residual: nil, moments: moments)
                    kernels.finish(block.start, pixels, &finish)
                }
                all += block.values
            }
            try require(moments, of: all)
        }
    }

    @Test func momentsTakeInWhatWasWritten() async {
        await checkKernels(cases: 10) { kernels, generator in
            let pixels = generator.size(in: 1...40)
            let block = Numbers(generator.floats(pixels * Block.lanes))
            let bias = Numbers(generator.floats(Block.lanes, in: -9...9))
            var moments = voxel_moments()
            withUnsafeMutablePointer(to: &moments) { moments in
                var finish = voxel_finish(bias: bias.start, residual: block.start, moments: moments)
                kernels.finish(block.start, pixels, &finish)
            }
            try require(moments, of: block.values)
        }
    }

    /// Compares with the mean and the sum of squared deviations of each lane.
    private func require(_ moments: voxel_moments, of values: [Float]) throws {
        let count = Double(values.count / Block.lanes)
        try #require(moments.count == count)
        for lane in 0..<Block.lanes {
            let numbers = stride(from: lane, to: values.count, by: Block.lanes).map { Double(values[$0]) }
            let mean = numbers.reduce(0, +) / count
            let deviation = numbers.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
            let spread = (deviation / count).squareRoot()
            let found = moments.lane(lane)
            try #require(
                abs(found.mean - mean) <= 1e-5 * spread + 1e-12 * abs(mean), "\(found.mean) for \(mean)")
            try #require(
                abs(found.deviation - deviation) <= 1e-5 * deviation, "\(found.deviation) for \(deviation)")
        }
    }
}

extension voxel_moments {
    fileprivate func lane(_ lane: Int) -> (mean: Double, deviation: Double) {
        let number = { (bytes: UnsafeRawBufferPointer) in
            bytes.load(fromByteOffset: lane * 8, as: Double.self)
        }
        return (withUnsafeBytes(of: mean, number), withUnsafeBytes(of: deviation, number))
    }
}
