/// Exact order statistics of many numbers without sorting them.
///
/// Numbers are counted by the leading 16 bits of their position among all floats; only those in a bucket that is asked for
/// are sorted.
package struct OrderStatistics {
    /// The number of finite values.
    package let count: Int

    /// The finite values.
    package let finite: [Float]
    /// The number of values in and before each bucket.
    private let cumulative: [Int]

    /// The statistics of the finite ones of some values. O(n).
    package init(_ all: [Float]) { self.init(finite: all.filter(\.isFinite)) }

    /// The statistics of some finite values. O(n).
    package init(finite: [Float]) {
        self.finite = finite
        count = finite.count
        var counts = [Int](repeating: 0, count: 1 << 16)
        for value in finite { counts[Self.bucket(value)] += 1 }
        var sum = 0
        cumulative = counts.map {
            sum += $0
            return sum
        }
    }

    /// The quantiles at fractions from 0 to 1, between two values by linear interpolation, as NumPy has them by default;
    /// `nil` if there are no values. O(n).
    package func quantiles(_ fractions: [Double]) -> [Double]? {
        guard count > 0 else { return nil }
        let places = fractions.map { $0 * Double(count - 1) }
        let ranks = Set(places.flatMap { [Int($0), min(Int($0) + 1, count - 1)] })
        let atRank = sorted(at: ranks)
        return places.map { place in
            let low = Double(atRank[Int(place)]!)
            let high = Double(atRank[min(Int(place) + 1, count - 1)]!)
            return low + (place - place.rounded(.down)) * (high - low)
        }
    }

    /// The quantile at a fraction.
    package func quantile(_ fraction: Double) -> Double? { quantiles([fraction])?[0] }

    /// The values at ranks, as sorting would have them.
    private func sorted(at ranks: Set<Int>) -> [Int: Float] {
        let bucketOfRank = Dictionary(
            uniqueKeysWithValues: ranks.map { rank in (rank, cumulative.partitioningIndex { $0 > rank }) })
        let wanted = Set(bucketOfRank.values).sorted()
        var slots = [Int32](repeating: -1, count: 1 << 16)
        for (slot, bucket) in wanted.enumerated() { slots[bucket] = Int32(slot) }
        var members = [[Float]](repeating: [], count: wanted.count)
        for value in finite {
            let slot = Int(slots[Self.bucket(value)])
            if slot >= 0 { members[slot].append(value) }
        }
        for slot in members.indices { members[slot].sort() }
        return Dictionary(
            uniqueKeysWithValues: bucketOfRank.map { rank, bucket in
                let before = bucket == 0 ? 0 : cumulative[bucket - 1]
                return (rank, members[Int(slots[bucket])][rank - before])
            })
    }

    @inline(__always)
    private static func bucket(_ value: Float) -> Int {
        let bits = value.bitPattern
        return Int((bits >> 31 == 0 ? bits | 0x8000_0000 : ~bits) >> 16)
    }
}
