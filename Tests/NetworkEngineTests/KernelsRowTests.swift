import CVoxelKernels
import Foundation
import TestSupport
import Testing

@testable import NetworkEngine

/// Softmax and layer normalisation are those of double precision, on rows of any length.
struct KernelsRowTests {
    private struct Scores {
        let rows, columns: Int
        let numbers: Numbers
        /// The scores, row by row.
        let original: [[Double]]

        /// What lies after the last column is anything.
        init(rows: Int, columns: Int, _ score: () -> Float) {
            (self.rows, self.columns) = (rows, columns)
            let values = (0..<(columns + 15) / 16 * rows * Block.lanes).map { _ in score() }
            numbers = Numbers(values)
            original = (0..<rows).map { row in
                (0..<columns).map {
                    Double(values[$0 / Block.lanes * rows * Block.lanes + row * Block.lanes + $0 % Block.lanes])
                }
            }
        }

        /// The shares of one row, and what is after them.
        func row(_ row: Int) -> (shares: [Float], rest: [Float]) {
            let all = (0..<(columns + 15) / 16 * Block.lanes).map {
                numbers[$0 / Block.lanes * rows * Block.lanes + row * Block.lanes + $0 % Block.lanes]
            }
            return (Array(all[..<columns]), Array(all[columns...]))
        }
    }

    @Test(arguments: [1, 100, 1e6, 1e30] as [Float])
    func softmaxIsAShareOfTheWhole(greatest: Float) async {
        await checkKernels(cases: 20) { kernels, generator in
            let scores = Scores(rows: generator.size(in: 1...9), columns: generator.size(in: 1...50)) {
                Float.random(in: -greatest...greatest, using: &generator)
            }
            let scale = Float.random(in: 0.05...1, using: &generator)
            kernels.softmax(scores.numbers.start, scores.rows * Block.lanes, scores.rows, scores.columns, scale)
            for (row, original) in scores.original.enumerated() {
                let (shares, rest) = scores.row(row)
                let peak = original.max()!
                let powers = original.map { exp(Double(scale) * ($0 - peak)) }
                let expected = powers.map { $0 / powers.reduce(0, +) }
                // A score of 100 is known to 4e-6.
                try requireClose(shares, expected, tolerance: 1e-6 * Double(min(100, greatest)), "softmax")
                try #require(rest.allSatisfy { $0 == 0 })
            }
        }
    }

    /// One score that is no number leaves no ordinary share in its row, wherever it stands.
    @Test func aScoreThatIsNoNumberShows() async {
        await checkKernels(cases: 30) { kernels, generator in
            let columns = generator.size(in: 1...40)
            let place = Int.random(in: 0..<columns, using: &generator)
            let scores = Scores(rows: 1, columns: columns) { Float.random(in: -1...1, using: &generator) }
            scores.numbers.start[place] = .nan
            kernels.softmax(scores.numbers.start, Block.lanes, 1, columns, 1)
            try #require(scores.row(0).shares.contains { $0.isNaN })
        }
    }

    /// Among codes of few values, many are equally near; after the last there is infinity.
    @Test func theNearestOfACodebookIsTheFirstOfTheLeastDistance() async {
        await checkKernels(cases: 40) { kernels, generator in
            let (width, pixels) = (generator.size(in: 1...20), generator.size(in: 1...5))
            let (entries, count) = (generator.size(in: 1...40), (width + 15) / 16)
            let number = { (generator: inout SeededGenerator) in
                Float(Int.random(in: -1...1, using: &generator)) / 2
            }
            let blocks = (0..<count).map { _ in
                Numbers((0..<pixels * Block.lanes).map { _ in number(&generator) })
            }
            let codes = (0..<entries).map { _ in (0..<width).map { _ in number(&generator) } }
            let packed = Numbers(
                (0..<(entries + 15) / 16 * width * Block.lanes).map { place in
                    let entry = place / Block.lanes / width * Block.lanes + place % Block.lanes
                    return entry < entries ? codes[entry][place / Block.lanes % width] : .infinity
                })
            var indices = [Int](repeating: -1, count: pixels)
            kernels.nearest(
                blocks.map { UnsafePointer<Float>?($0.start) }, width, pixels, packed.start,
                (entries + 15) / 16,
                &indices)
            for pixel in 0..<pixels {
                let distances = codes.map { code in
                    code.enumerated().reduce(Float(0)) { sum, place in
                        let x = blocks[place.offset / 16][pixel * Block.lanes + place.offset % 16]
                        return sum + (x - place.element) * (x - place.element)
                    }
                }
                try #require(indices[pixel] == distances.firstIndex(of: distances.min()!))
            }
        }
    }

    @Test(arguments: [0, 1000] as [Float])
    func layerNormIsOverTheChannels(mean: Float) async {
        await checkKernels(cases: 30) { kernels, generator in
            let (channels, pixels) = (generator.size(in: 2...50), generator.size(in: 1...9))
            let count = (channels + 15) / 16
            let blocks = (0..<count).map { block in
                Numbers(
                    (0..<pixels * Block.lanes).map {
                        block * Block.lanes + $0 % Block.lanes < channels
                            ? mean + Float.random(in: -1...1, using: &generator) : 0
                    })
            }
            let padding = [Float](repeating: 0, count: count * Block.lanes - channels)
            let weight = Numbers(generator.floats(channels, in: 0.5...1.5) + padding)
            let bias = Numbers(generator.floats(channels) + padding)
            let stride = pixels * Block.lanes + Block.lanes
            let result = Numbers(unwritten: count * stride - Block.lanes)
            kernels.layer_norm(
                blocks.map { UnsafePointer<Float>?($0.start) }, channels, pixels, weight.start, bias.start,
                1e-5,
                result.start, stride)
            for pixel in 0..<pixels {
                let at = { (channel: Int) in
                    Double(blocks[channel / Block.lanes][pixel * Block.lanes + channel % Block.lanes])
                }
                let average = (0..<channels).reduce(0) { $0 + at($1) } / Double(channels)
                let variance =
                    (0..<channels).reduce(0) { $0 + (at($1) - average) * (at($1) - average) } / Double(channels)
                let expected = (0..<count * Block.lanes).map { channel in
                    guard channel < channels else { return 0.0 }
                    return (at(channel) - average) / (variance + 1e-5).squareRoot() * Double(weight[channel])
                        + Double(bias[channel])
                }
                let found = (0..<count * Block.lanes).map {
                    result[$0 / Block.lanes * stride + pixel * Block.lanes + $0 % Block.lanes]
                }
                // A number about 1000 is known to 6e-5, and its deviation may be small.
                try requireClose(found, expected, tolerance: mean == 0 ? 2e-5 : 2e-2, "layer normalisation")
            }
        }
    }
}
