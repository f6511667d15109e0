import Foundation
import SliceSampling
import TestSupport
import Testing

struct NoiseFieldTests {
    @Test func noiseIsAFunctionOfItsPlaceAlone() async {
        await checkLaw(cases: 300) { generator in
            let field = generator.noise()
            let (rows, columns) = (generator.size(in: 1...12), generator.size(in: 1...12))
            let index = Int.random(in: -5...200, using: &generator)
            let timestep = Int.random(in: 0...1000, using: &generator)
            let slice = field.slice(index, rows: rows, columns: columns, timestep: timestep)
            // Asked again, after another, and as part of a larger slice.
            _ = field.slice(index + 1, rows: 3, columns: 3, timestep: 7)
            try #require(field.slice(index, rows: rows, columns: columns, timestep: timestep) == slice)
            let more = generator.size(in: 0...9)
            let larger = field.slice(index, rows: rows + more, columns: columns + more, timestep: timestep)
            for row in 0..<rows {
                let start = row * (columns + more)
                try #require(larger[start..<start + columns] == slice[row * columns..<(row + 1) * columns])
            }
        }
    }

    /// The correlation of two images of standard normal values.
    private func correlation(_ first: some Sequence<Float>, _ second: some Sequence<Float>) -> Double {
        let products = zip(first, second).map { Double($0) * Double($1) }
        return products.reduce(0, +) / Double(products.count)
    }

    private let size = 128

    @Test func noiseOfOtherPlacesIsUncorrelated() async {
        await checkLaw(cases: 40) { generator in
            let (seed, timestep) = (generator.next(), Int.random(in: 0...1000, using: &generator))
            let index = Int.random(in: 0...200, using: &generator)
            func slice(_ seed: UInt64, _ index: Int, _ timestep: Int) -> [Float] {
                NoiseField(seed: seed).slice(index, rows: size, columns: size, timestep: timestep)
            }
            let here = slice(seed, index, timestep)
            let others = [
                slice(seed ^ 1, index, timestep), slice(seed ^ 1 << 63, index, timestep),
                slice(seed, index + 1, timestep), slice(seed, -index - 1, timestep),
                slice(seed, index, timestep + 1),
                slice(seed, timestep, index), Array(here.dropFirst()), Array(here.dropFirst(2)),
                Array(here.dropFirst(4)), Array(here.dropFirst(size)),
            ]
            for other in others where other != here {
                try #require(abs(correlation(here, other)) < 5 / Double(other.count).squareRoot())
            }
            try #require(others.dropLast(5).allSatisfy { $0 != here })
        }
    }

    @Test func noiseIsStandardNormal() async {
        await checkLaw(cases: 60) { generator in
            let values = generator.noise().slice(
                Int.random(in: 0...100, using: &generator), rows: size, columns: size,
                timestep: Int.random(in: 0...1000, using: &generator)
            ).map(Double.init)
            let count = Double(values.count)
            func mean(_ value: (Double) -> Double) -> Double { values.reduce(0) { $0 + value($1) } / count }
            try #require(abs(mean { $0 }) < 5 / count.squareRoot())
            try #require(abs(mean { $0 * $0 } - 1) < 5 * (2 / count).squareRoot())
            try #require(abs(mean { $0 * $0 * $0 }) < 5 * (15 / count).squareRoot())
            try #require(abs(mean { pow($0, 4) } - 3) < 5 * (96 / count).squareRoot())
            for bound in [0.5, 1, 2, 3] {
                let share = erfc(bound / 2.squareRoot()) / 2
                let error = 5 * (share * (1 - share) / count).squareRoot()
                try #require(abs(mean { $0 > bound ? 1 : 0 } - share) < error)
                try #require(abs(mean { $0 < -bound ? 1 : 0 } - share) < error)
            }
        }
    }

    @Test func slicesCorrelateAsAskedFor() async {
        await checkLaw(cases: 60) { generator in
            let length = Double.random(in: 1...3, using: &generator)
            let distance = Int.random(in: 0...8, using: &generator)
            func correlation(_ kind: NoiseField.SliceCorrelation, _ seed: UInt64) -> Double {
                let field = NoiseField(seed: seed, correlation: kind)
                func slice(_ index: Int) -> [Float] {
                    field.slice(index, rows: size, columns: size, timestep: 5)
                }
                return self.correlation(slice(3), slice(3 + distance))
            }
            let error = 5 * (2 / Double(size * size)).squareRoot()
            let (d, seed) = (Double(distance), generator.next())
            let expected = exp(-d * d / (2 * length * length))
            try #require(abs(correlation(.smooth(length: length), seed) - expected) < error + 0.02)
            try #require(abs(correlation(.shared, seed) - 1) < error)
            try #require(abs(correlation(.independent, seed) - (distance == 0 ? 1 : 0)) < error)
        }
    }
}
