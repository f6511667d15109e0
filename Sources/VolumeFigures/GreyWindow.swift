import Volumes

/// The range of intensities shown from black to white.
struct GreyWindow {
    let low: Float
    let high: Float

    init(_ range: ClosedRange<Float>) {
        precondition(range.lowerBound.isFinite && range.upperBound.isFinite, "a window must be finite")
        (low, high) = (range.lowerBound, range.upperBound)
    }

    /// From the minimum to the 99.8th percentile of the finite intensities, so that a few bright vessels or artefacts do
    /// not darken the rest. O(n).
    init(fitting volume: Volume) {
        // A radix selection: the bit patterns, mapped so that they have the order of the numbers, are counted by their
        // upper half, and then by their lower half within the upper half of the rank.
        let upper = volume.voxels.counts { $0.isFinite ? Int($0.order >> 16) : nil }
        let count = upper.reduce(0, +)
        guard count > 0 else {
            self.init(0...0)
            return
        }
        func value(rank: Int) -> Float {
            let (half, rankInHalf) = upper.place(ofRank: rank)
            let lower = volume.voxels.counts {
                $0.isFinite && Int($0.order >> 16) == half ? Int($0.order & 0xFFFF) : nil
            }
            return Float(order: UInt32(half << 16 | lower.place(ofRank: rankInHalf).index))
        }
        self.init(value(rank: 0)...value(rank: min(count - 1, Int(0.998 * Double(count)))))
    }

    /// The grey value of an intensity. NaN is black.
    func grey(_ intensity: Float) -> UInt8 {
        let share = share(intensity)
        return share.isNaN ? 0 : UInt8((share * 255).rounded())
    }

    /// The share of the window below an intensity, from 0 to 1. NaN has none.
    func share(_ intensity: Float) -> Double {
        guard !intensity.isNaN else { return .nan }
        guard intensity > low else { return 0 }
        guard intensity < high else { return 1 }
        // In Double, in which the difference of any two floats is finite.
        return (Double(intensity) - Double(low)) / (Double(high) - Double(low))
    }
}

extension Volume {
    /// The intensities shown as black and as white where nothing else is said. O(n).
    package var displayRange: ClosedRange<Float> {
        let window = GreyWindow(fitting: self)
        return window.low...window.high
    }
}

extension [Float] {
    /// The number of values in each of 65,536 bins; values without a bin are skipped.
    @inline(__always)
    fileprivate func counts(bin: (Float) -> Int?) -> [Int] {
        var counts = [Int](repeating: 0, count: 1 << 16)
        for value in self {
            if let bin = bin(value) { counts[bin] += 1 }
        }
        return counts
    }
}

extension [Int] {
    /// The bin of the value with a rank, and its rank within the bin.
    fileprivate func place(ofRank rank: Int) -> (index: Int, rank: Int) {
        var rank = rank
        for (index, count) in enumerated() {
            if rank < count { return (index, rank) }
            rank -= count
        }
        preconditionFailure("the rank must be below the count")
    }
}

extension Float {
    /// A number with the order of the values.
    fileprivate var order: UInt32 { bitPattern ^ (bitPattern >> 31 == 1 ? 0xFFFF_FFFF : 0x8000_0000) }

    fileprivate init(order: UInt32) {
        self.init(bitPattern: order ^ (order >> 31 == 1 ? 0x8000_0000 : 0xFFFF_FFFF))
    }
}
