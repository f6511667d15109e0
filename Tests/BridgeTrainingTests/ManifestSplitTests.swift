import BridgeTraining
import TestSupport
import Testing

/// Subjects split by shares.
struct ManifestSplitTests {
    @Test func splitsKeepTheirShares() async {
        await checkLaw(cases: 300) { generator in
            let count = generator.size(in: 0...200)
            let validation = Double.random(in: 0...0.6, using: &generator)
            let test = Double.random(in: 0...0.39, using: &generator)
            let splits = Manifest.Split.splits(count: count, validation: validation, test: test)
            try #require(splits.count == count)
            let numbers = Manifest.Split.allCases.map { split in splits.count { $0 == split } }
            try #require(abs(Double(numbers[1]) - Double(count) * validation) <= 1)
            try #require(abs(Double(numbers[2]) - Double(count) * test) <= 1)
            if count >= 3 { try #require(numbers.allSatisfy { $0 > 0 }) }
            // In this order, each in one run.
            let order = splits.map { Manifest.Split.allCases.firstIndex(of: $0)! }
            try #require(order == order.sorted())
        }
    }

    @Test(arguments: [(1, [1, 0, 0]), (2, [2, 0, 0]), (3, [1, 1, 1]), (10, [8, 1, 1]), (40, [32, 4, 4])])
    func theDefaultIsEightToOneToOne(count: Int, expected: [Int]) {
        let splits = Manifest.Split.splits(count: count)
        #expect(Manifest.Split.allCases.map { split in splits.count { $0 == split } } == expected)
    }

    @Test func aShareOfZeroGetsNobody() {
        #expect(Manifest.Split.splits(count: 5, validation: 0, test: 0) == Array(repeating: .train, count: 5))
    }
}
