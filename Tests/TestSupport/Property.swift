import Foundation
import Testing

/// A stream of random numbers that is the same on every machine for one seed (SplitMix64).
public struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    /// A stream for a seed.
    public init(seed: UInt64) { state = seed }

    /// The next 64 random bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// `count` values drawn evenly from a range.
    public mutating func floats(_ count: Int, in range: ClosedRange<Float> = -1...1) -> [Float] {
        (0..<count).map { _ in Float.random(in: range, using: &self) }
    }
}

/// Checks a law on many random cases, each made from a seed of its own.
///
/// The law throws (`try #require(...)`) where it does not hold. The seed of the first case that fails is
/// printed; `VOXELBRIDGE_SEED=<seed> swift test --filter <test>` runs that case alone.
public func checkLaw(
    cases: Int = 100, sourceLocation: SourceLocation = #_sourceLocation,
    _ law: (inout SeededGenerator) async throws -> Void
) async {
    for seed in seeds(cases) {
        var generator = SeededGenerator(seed: seed)
        do { try await law(&generator) } catch {
            Issue.record("the law fails for seed \(seed): \(error)", sourceLocation: sourceLocation)
            return
        }
    }
}

private func seeds(_ count: Int) -> [UInt64] {
    if let seed = ProcessInfo.processInfo.environment["VOXELBRIDGE_SEED"].flatMap(UInt64.init) { return [seed] }
    return (0..<UInt64(count)).map { $0 &* 0x2545_F491_4F6C_DD1D &+ 1 }
}
