import SliceSampling
import TestSupport

extension SeededGenerator {
    mutating func shape() -> SIMD3<Int> { [size(in: 1...6), size(in: 1...6), size(in: 1...7)] }

    mutating func plane() -> SlicePlane { SlicePlane.allCases.randomElement(using: &self)! }

    mutating func aggregation() -> any SliceAggregation {
        let deviation = Double.random(in: 0.3...3, using: &self)
        // Positions without any weight among them.
        let own = (0..<6).map { _ in Bool.random(using: &self) ? Double.random(in: 0...1, using: &self) : 0 }
        let all: [any SliceAggregation] = [
            .mean, .middleSlice, .triangular, .gaussian(deviation: deviation),
            WeightedAggregation { distance, radius in own[distance] + (distance == radius ? 0.01 : 0) },
        ]
        return all.randomElement(using: &self)!
    }

    mutating func corrector(stepSize: ClosedRange<Double> = 0...0.5) -> ScoreCorrector {
        let steps = size(in: 1...2)
        let stepSize = Double.random(in: stepSize, using: &self)
        let from = Bool.random(using: &self) ? 0 : Int.random(in: 0...500, using: &self)
        return ScoreCorrector(
            scaling: ScoreCorrector.Scaling.allCases.randomElement(using: &self)!,
            isBounded: Bool.random(using: &self)
        ) { timestep in .init(steps: timestep < from ? 0 : steps, stepSize: stepSize) }
    }

    mutating func noise() -> NoiseField {
        let length = Double.random(in: 0.5...3, using: &self)
        let correlations: [NoiseField.SliceCorrelation] = [.independent, .shared, .smooth(length: length)]
        return NoiseField(seed: next(), correlation: correlations.randomElement(using: &self)!)
    }

    /// A sampler of any mode, planes and noise.
    mutating func sampler<Denoiser: SliceDenoiser>(
        _ scheduler: Scheduler, denoiser: (SlicePlane, _ radius: Int) -> Denoiser
    ) -> SliceSampler<Denoiser> {
        let first = plane()
        var sampler = SliceSampler(
            scheduler: scheduler, denoiser: denoiser(first, size(in: 0...3)), plane: first,
            noise: noise(), batchSize: size(in: 1...20), batchesInFlight: size(in: 1...5))
        guard Int.random(in: 0..<4, using: &self) > 0 else {
            sampler.aggregation = nil
            return sampler
        }
        sampler.aggregation = aggregation()
        if Bool.random(using: &self) { sampler.corrector = corrector() }
        if Bool.random(using: &self) { sampler.scoreAggregation = aggregation() }
        for _ in 0..<max(0, Int.random(in: -2...2, using: &self)) {
            let plane = plane()
            sampler.alternatingPlanes.append(
                PlaneDenoiser(plane: plane, denoiser: denoiser(plane, size(in: 0...3))))
        }
        return sampler
    }
}

extension Volume {
    /// The voxels' bits, in which -0 is not 0.
    var bits: [UInt32] { voxels.map(\.bitPattern) }

    /// The same volume with the voxels in opposite order along an axis.
    func flipped(_ axis: Int) -> Volume {
        var flipped = self
        for z in 0..<shape.z {
            for y in 0..<shape.y {
                for x in 0..<shape.x {
                    var place = SIMD3(x, y, z)
                    place[axis] = shape[axis] - 1 - place[axis]
                    flipped[x, y, z] = self[place.x, place.y, place.z]
                }
            }
        }
        return flipped
    }
}
