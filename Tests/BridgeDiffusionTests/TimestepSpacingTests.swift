import BridgeDiffusion
import TestSupport
import Testing

struct TimestepSpacingTests {
    private func spacing(_ generator: inout SeededGenerator) -> TimestepSpacing {
        let rho = Double.random(in: 1...8, using: &generator)
        return [.linear, .uniform, .cosine, .karras(rho: rho)].randomElement(using: &generator)!
    }

    @Test func timestepsDescendFromTheLastToZero() async {
        await checkLaw(cases: 1000) { generator in
            let all = Int.random(in: 3...2000, using: &generator)
            let count = Int.random(in: 3...all, using: &generator)
            let timesteps = spacing(&generator).timesteps(count, of: all)
            try #require(timesteps.first == all - 1 && timesteps.last == 0)
            try #require(zip(timesteps, timesteps.dropFirst()).allSatisfy(>))
            try #require(timesteps.count <= count + 1)
        }
    }

    @Test func asManyAreVisitedAsAskedForFarBelowAll() async {
        await checkLaw(cases: 1000) { generator in
            let count = Int.random(in: 3...30, using: &generator)
            let spacing = spacing(&generator)
            try #require(spacing.timesteps(count, of: 100_000_000).count == count)
        }
    }

    @Test func evenSpacingIsEven() async {
        await checkLaw { generator in
            let count = Int.random(in: 2...50, using: &generator)
            let stride = Int.random(in: 1...50, using: &generator)
            let timesteps = TimestepSpacing.uniform.timesteps(count, of: (count - 1) * stride + 1)
            try #require(timesteps == (0..<count).reversed().map { $0 * stride })
        }
    }

    @Test func rootsAreDenserTowardsZero() async {
        await checkLaw { generator in
            let rho = Double.random(in: 1.5...8, using: &generator)
            let timesteps = TimestepSpacing.karras(rho: rho).timesteps(
                Int.random(in: 3...30, using: &generator), of: 1_000_000)
            let strides = zip(timesteps, timesteps.dropFirst()).map { $0 - $1 }
            // Each stride is no longer than the one before, but for rounding.
            try #require(zip(strides, strides.dropFirst()).allSatisfy { $0 + 1 >= $1 })
        }
    }
}
