import Foundation
import Testing
import VoxelSupport

/// A stream of random numbers that is the same on every machine for one seed (SplitMix64).
public struct SeededGenerator: RandomNumberGenerator {
    private var generator: SplitMix64

    /// How far sizes may lie above the least that they can be.
    private let sizeLimit: Int

    /// A stream for a seed.
    public init(seed: UInt64, sizeLimit: Int = .max) {
        (generator, self.sizeLimit) = (SplitMix64(seed: seed), sizeLimit)
    }

    /// The next 64 random bits.
    public mutating func next() -> UInt64 { generator.next() }

    /// `count` values drawn evenly from a range.
    public mutating func floats(_ count: Int, in range: ClosedRange<Float> = -1...1) -> [Float] {
        (0..<count).map { _ in Float.random(in: range, using: &self) }
    }

    /// A size: of a volume, of a list, of a number of steps. A case that fails is tried again with smaller ones.
    public mutating func size(in range: ClosedRange<Int>) -> Int {
        let extent = min(range.upperBound - range.lowerBound, sizeLimit)
        return Int.random(in: range.lowerBound...range.lowerBound + extent, using: &self)
    }
}

/// Checks a law on many random cases, each made from a seed of its own.
///
/// The law throws (`try #require(...)`) where it does not hold. The first case that fails is tried again with sizes
/// (``SeededGenerator/size(in:)``) held down, and the smallest that still fails is printed with its seed;
/// `VOXELBRIDGE_SEED=<seed> VOXELBRIDGE_SIZE=<limit> swift test --filter <test>` runs that case alone.
public func checkLaw(
    cases: Int = 100, sourceLocation: SourceLocation = #_sourceLocation,
    _ law: (inout SeededGenerator) async throws -> Void
) async {
    let (onlySeed, onlyLimit) = (environmentNumber("VOXELBRIDGE_SEED"), environmentNumber("VOXELBRIDGE_SIZE"))
    let seeds = onlySeed.map { [$0] } ?? (0..<UInt64(cases)).map { $0 &* 0x2545_F491_4F6C_DD1D &+ 1 }
    for seed in seeds {
        var generator = SeededGenerator(seed: seed, sizeLimit: onlyLimit.map { Int(clamping: $0) } ?? .max)
        do { try await law(&generator) } catch {
            let smallest = onlyLimit == nil ? await smallestFailure(seed, law) : nil
            let size = smallest.map { " and VOXELBRIDGE_SIZE=\($0), the smallest at which it does" } ?? ""
            Issue.record(
                "the law fails for VOXELBRIDGE_SEED=\(seed)\(size): \(error)", sourceLocation: sourceLocation)
            return
        }
    }
}

/// The least limit of sizes at which a case still fails.
private func smallestFailure(
    _ seed: UInt64, _ law: (inout SeededGenerator) async throws -> Void
) async -> Int? {
    for limit in [0, 1, 2, 3, 4, 6, 8, 12, 16, 32, 64] {
        var fails = false
        // What fails here is known to: the case at its full size is reported already.
        await withKnownIssue(isIntermittent: true) {
            var generator = SeededGenerator(seed: seed, sizeLimit: limit)
            do { try await law(&generator) } catch { fails = true }
        }
        if fails { return limit }
    }
    return nil
}

private func environmentNumber(_ name: String) -> UInt64? {
    ProcessInfo.processInfo.environment[name].flatMap(UInt64.init)
}
