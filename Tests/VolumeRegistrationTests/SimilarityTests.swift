import Foundation
import TestSupport
import Testing

@testable import VolumeRegistration

/// The similarity is the one that its definition gives, and its gradient is its derivative.
struct SimilarityTests {
    private let bins = 16

    private func similarity(
        _ moving: Volume, _ fixed: Volume, spacing: Double = 3, smoothing: Double = 1
    ) throws -> Similarity {
        let (a, b) = (
            try #require(SmoothedVolume(moving, bins: bins)), try #require(SmoothedVolume(fixed, bins: bins))
        )
        let region = SampledRegion(foregroundOf: b, bins: bins)
        return Similarity(
            samples: SamplePoints(
                of: b.blurred(to: spacing, threads: 1), in: region, spacing: spacing, bins: bins),
            moving: a.blurred(to: spacing, threads: 1), bins: bins, smoothing: smoothing, minimumOverlap: 0.2)
    }

    private let fixed = Volume.brainPhantom(on: VoxelGrid(shape: [40, 46, 36], spacing: [2, 2, 2]))
    private let moving = Volume.brainPhantom(
        on: VoxelGrid(
            shape: [80, 46, 60],
            affine: Affine(columns: [0, 2, 0.2], [3, 0, 0], [0, -0.2, 2], translation: [-28, -28, -32])),
        fluid: 100, white: 40, grey: 70)

    @Test func theGradientIsTheDerivative() async throws {
        let similarity = try similarity(moving, fixed)
        let workspace = Similarity.Workspace(for: similarity)
        await checkLaw(cases: 10) { random in
            let pose = RigidTransform(
                degrees: .random(in: -8...8, using: &random), millimetres: .random(in: -4...4, using: &random),
                about: similarity.samples.centre)
            _ = similarity.evaluate(pose, in: workspace, threads: 1)
            let gradient = similarity.gradient(at: pose, in: workspace, threads: 1)
            let size = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
            let step = 0.02
            for axis in 0..<6 {
                func value(_ amount: Double) -> Double {
                    var (shift, turn) = (SIMD3<Double>.zero, SIMD3<Double>.zero)
                    if axis < 3 {
                        shift[axis] = amount
                    } else {
                        turn[axis - 3] = amount / similarity.samples.radius
                    }
                    let motion = RigidTransform(
                        radians: turn, millimetres: shift, about: pose(similarity.samples.centre))
                    return similarity.evaluate(motion.after(pose), in: workspace, threads: 1).similarity
                }
                let slope = (value(step) - value(-step)) / (2 * step)
                // Intensities pass from bin to bin within a step.
                try #require(
                    abs(slope - gradient[axis]) < 0.03 * size + 1e-6,
                    "axis \(axis): \(slope), \(gradient[axis])")
            }
        }
    }

    /// Computed here from the definition, without smoothing and with the points' own positions.
    @Test func theValueIsThatOfTheDefinition() throws {
        let similarity = try similarity(moving, fixed, smoothing: 0.01)
        let pose = RigidTransform(degrees: [3, -5, 8], millimetres: [2, -1, 0.5])
        let found = similarity.evaluate(pose, in: .init(for: similarity), threads: 1)

        var joint = [Double](repeating: 0, count: bins * bins)
        var inside = 0
        let volume = Volume(grid: similarity.moving.grid, voxels: similarity.moving.voxels)
        for point in similarity.samples.points {
            let place = SIMD3(Double(point.x), Double(point.y), Double(point.z)) + similarity.samples.centre
            guard let value = volume.trilinear(atVoxel: volume.grid.voxel(atWorld: pose(place))) else {
                continue
            }
            inside += 1
            let (row, column) = (Int((point.w).rounded(.toNearestOrAwayFromZero)), min(Int(value), bins - 2))
            joint[row * bins + column] += 1 - (value - Double(column))
            joint[row * bins + column + 1] += value - Double(column)
        }
        func entropy(_ counts: [Double]) -> Double {
            counts.reduce(0) { $1 > 0 ? $0 - $1 / Double(inside) * log($1 / Double(inside)) : $0 }
        }
        let rows = (0..<bins).map { row in (0..<bins).reduce(0) { $0 + joint[row * bins + $1] } }
        let columns = (0..<bins).map { column in (0..<bins).reduce(0) { $0 + joint[$1 * bins + column] } }
        let expected = (entropy(rows) + entropy(columns)) / entropy(joint)
        #expect(abs(found.similarity - expected) < 1e-4)
        #expect(abs(found.overlap - Double(inside) / Double(similarity.samples.points.count)) < 1e-3)
    }

    @Test func tooLittleOverlapHasNoValue() throws {
        let similarity = try similarity(moving, fixed)
        let workspace = Similarity.Workspace(for: similarity)
        let far = similarity.evaluate(RigidTransform(millimetres: [110, 0, 0]), in: workspace, threads: 1)
        #expect(far.similarity == 0 && far.overlap < 0.2)
        let out = similarity.evaluate(RigidTransform(millimetres: [1e6, 0, 0]), in: workspace, threads: 1)
        #expect(out.similarity == 0 && out.overlap == 0)
    }

    /// A blurred constant stays one, and a blurred volume keeps its place and its mean.
    @Test func blurringKeepsPlaceAndMean() throws {
        let sharp = try #require(SmoothedVolume(fixed, bins: bins))
        let blurred = sharp.blurred(to: 8, threads: 2)
        #expect(blurred.grid.shape == [20, 23, 18])
        #expect((blurred.grid.world(atVoxel: .zero) - [1, 1, 1]).norm < 1e-12)
        func mean(_ volume: SmoothedVolume) -> Float { volume.voxels.reduce(0, +) / Float(volume.voxels.count) }
        #expect(abs(mean(blurred) / mean(sharp) - 1) < 0.01)
        #expect((blurred.centreOfMass(bins: bins) - sharp.centreOfMass(bins: bins)).norm < 0.5)
    }
}

extension Volume {
    /// Trilinear interpolation in the plainest form; `nil` half a voxel outside.
    fileprivate func trilinear(atVoxel position: SIMD3<Double>) -> Double? {
        let last = SIMD3<Double>(shape &- 1)
        guard all(position .>= -0.5), all(position .<= last + 0.5) else { return nil }
        let inside = position.clamped(lowerBound: .zero, upperBound: last)
        var sum = 0.0
        for corner in 0..<8 {
            var (weight, index) = (1.0, SIMD3<Int>.zero)
            for axis in 0..<3 {
                let low = min(inside[axis].rounded(.down), last[axis] - 1)
                let high = corner >> axis & 1
                index[axis] = Int(low) + high
                weight *= high == 1 ? inside[axis] - low : 1 - (inside[axis] - low)
            }
            sum += weight * Double(self[index.x, index.y, index.z])
        }
        return sum
    }
}
