import TestSupport
import Testing

@testable import NetworkEngine

struct RecentValuesTests {
    /// The same as a list that is kept by hand.
    @Test func theLeastRecentlyUsedGoesFirst() async {
        await checkLaw(cases: 50) { generator in
            let capacity = generator.size(in: 1...4)
            let values = RecentValues<Int, Int>(capacity: capacity)
            var expected: [(key: Int, value: Int)] = []
            for step in 0..<60 {
                let key = generator.size(in: 0...6)
                let found = values.value(of: key) { step }
                let known = expected.first { $0.key == key }?.value
                try #require(found == known ?? step)
                expected = [(key, found)] + expected.filter { $0.key != key }
                expected = Array(expected.prefix(capacity))
            }
        }
    }

    @Test func whatCannotBeMadeIsNotKept() throws {
        struct Failure: Error {}
        let values = RecentValues<Int, Int>(capacity: 2)
        #expect(throws: Failure.self) { try values.value(of: 1) { throw Failure() } }
        #expect(values.value(of: 1) { 5 } == 5)
    }
}
