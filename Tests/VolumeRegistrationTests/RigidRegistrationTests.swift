import Foundation
import Synchronization
import TestSupport
import Testing
import VolumeIO

@testable import VolumeRegistration

/// Known motions of synthetic volumes are recovered, and what cannot be is refused or doubted.
struct RigidRegistrationTests {
    private let fixed = Volume.brainPhantom(on: VoxelGrid(shape: [40, 46, 36], spacing: [2, 2, 2]))

    /// Another contrast on another grid, whose intensities rise where the fixed ones fall.
    private let moving = Volume.brainPhantom(
        on: VoxelGrid(
            shape: [54, 60, 22], affine: Affine(spacing: [1.5, 1.5, 3.5], translation: [-1, 2, -3.5])),
        fluid: 100, white: 40, grey: 65)

    /// A motion that puts the moving phantom where the fixed one is: both lie in the middle of their grids.
    private var home: RigidTransform {
        func middle(_ volume: Volume) -> SIMD3<Double> {
            volume.grid.world(atVoxel: (SIMD3<Double>(volume.shape) - 1) / 2)
        }
        return RigidTransform(millimetres: middle(fixed) - middle(moving))
    }

    private func registration(threads: Int = 2) -> RigidRegistration {
        var registration = RigidRegistration()
        (registration.threads, registration.samples) = (threads, 60_000)
        return registration
    }

    /// The mean distance over the phantom between where points are and where they belong.
    private func error(_ found: RigidTransform, _ expected: RigidTransform) -> Double {
        var (sum, count) = (0.0, 0.0)
        for z in stride(from: 0, to: 36, by: 3) {
            for y in stride(from: 0, to: 46, by: 3) {
                for x in stride(from: 0, to: 40, by: 3) where fixed[x, y, z] > 0 {
                    let belongs = fixed.grid.world(atVoxel: [Double(x), Double(y), Double(z)])
                    sum += (found(expected.inverse(belongs)) - belongs).norm
                    count += 1
                }
            }
        }
        return sum / count
    }

    @Test func motionsAreRecovered() async {
        await checkLaw(cases: 6) { random in
            let motion = RigidTransform(
                degrees: .random(in: -20...20, using: &random),
                millimetres: .random(in: -20...20, using: &random))
            let result = try await registration().align(moving.moved(by: motion), to: fixed)
            let distance = error(result.transform, home.after(motion.inverse))
            try #require(distance < 0.6, "\(distance) mm: \(result)")
            try #require(result.warnings.isEmpty, "\(result)")
            try #require(result.similarity > (result.initialSimilarity ?? 1) && result.overlap > 0.9)
        }
    }

    @Test func aVolumeOnItselfStays() async throws {
        let result = try await registration().align(fixed, to: fixed)
        #expect(error(result.transform, .identity) < 0.05)
    }

    @Test func farAwayVolumesAreBroughtTogether() async throws {
        let motion = RigidTransform(millimetres: [4000, -300, 1000])
        let result = try await registration().align(moving.moved(by: motion), to: fixed)
        #expect(error(result.transform, home.after(motion.inverse)) < 0.6)
        #expect(result.initialSimilarity == nil)
    }

    @Test func theBitsDoNotDependOnThreads() async throws {
        let motion = RigidTransform(degrees: [9, -4, 6], millimetres: [3, 5, -8])
        var results: [RegistrationResult] = []
        for threads in 1...3 {
            results.append(try await registration(threads: threads).align(moving.moved(by: motion), to: fixed))
        }
        #expect(results[0] == results[1] && results[0] == results[2])
    }

    @Test func movingAndResamplingPutVoxelsAtTheSamePlaces() {
        let motion = RigidTransform(degrees: [2, 3, 5], millimetres: [1, 2, 3])
        let moved = moving.moved(by: motion)
        let (before, after) = (moving.grid.world(atVoxel: [7, 8, 9]), moved.grid.world(atVoxel: [7, 8, 9]))
        #expect((motion(before) - after).norm < 1e-12 && moved.voxels == moving.voxels)
        let resampled = moving.resampled(onto: fixed.grid, by: motion)
        #expect(resampled.grid == fixed.grid)
        #expect(resampled[20, 23, 18] > 0)
        // The point's colour is the one that it had where it came from.
        let origin = moving.grid.voxel(atWorld: motion.inverse(fixed.grid.world(atVoxel: [20, 23, 18])))
        let nearest = origin.rounded(.toNearestOrEven)
        let expected = moving[Int(nearest.x), Int(nearest.y), Int(nearest.z)]
        #expect(abs(resampled[20, 23, 18] - expected) < 30)
        #expect(
            moving.map { $0 - 1000 }.resampled(onto: fixed.grid, by: RigidTransform(millimetres: [900, 0, 0]))
                .voxels.allSatisfy { $0 == -1000 })
    }

    @Test func theStartIsWhereTheSearchBegins() async throws {
        let motion = RigidTransform(degrees: [0, 0, 70], millimetres: [10, 0, 0])
        let near = home.after(motion.inverse).after(
            RigidTransform(degrees: [3, 0, -4], millimetres: [2, -3, 1]))
        var registration = registration()
        registration.searchAngle = 0
        let result = try await registration.align(moving.moved(by: motion), to: fixed, startingAt: near)
        #expect(error(result.transform, home.after(motion.inverse)) < 0.6, "\(result)")
    }

    @Test func onlyTheMaskIsCompared() async throws {
        // Half of the fixed volume shows something else.
        var spoiled = fixed
        var mask = Volume(grid: fixed.grid)
        for z in 0..<36 {
            for y in 0..<46 {
                for x in 0..<40 {
                    if y < 20 { spoiled[x, y, z] = fixed[39 - x, 45 - y, z] } else { mask[x, y, z] = 1 }
                }
            }
        }
        let result = try await registration().align(moving, to: spoiled, mask: mask)
        #expect(error(result.transform, home) < 1, "\(result)")
    }

    // MARK: What cannot be registered, or not well

    @Test func constantAndTinyVolumesAreRefused() async {
        let constant = fixed.map { _ in 7 }
        let tiny = Volume(grid: VoxelGrid(shape: [64, 64, 3]), repeating: 1)
        await #expect(throws: RegistrationError.constantVolume(.moving)) {
            try await registration().align(constant, to: fixed)
        }
        await #expect(throws: RegistrationError.constantVolume(.fixed)) {
            try await registration().align(fixed, to: constant)
        }
        await #expect(throws: RegistrationError.constantVolume(.fixed)) {
            try await registration().align(fixed, to: fixed.map { _ in .nan })
        }
        await #expect(throws: RegistrationError.tooFewVoxels(.moving, shape: [64, 64, 3])) {
            try await registration().align(tiny, to: fixed)
        }
    }

    @Test func theSmallestVolumesAreRegistered() async throws {
        await checkLaw(cases: 10) { random in
            let shape = SIMD3<Int>(random.size(in: 4...9), random.size(in: 4...9), random.size(in: 4...9))
            let (a, b) = (
                Volume.random(shape: shape, using: &random),
                Volume.random(shape: [7, 4, 6], spacing: [1, 2, 0.5], using: &random)
            )
            // Something finite comes of it, or an error.
            if let result = try? await registration().align(a, to: b) {
                try #require(result.similarity >= 0.999 && result.similarity < 2.001, "\(result)")
            }
        }
    }

    @Test func voxelsThatAreNotFiniteAreBackground() async throws {
        var broken = moving
        for index in stride(from: 0, to: broken.voxels.count, by: 97) where broken.voxels[index] == 0 {
            broken.voxels[index] = index % 2 == 0 ? .nan : .infinity
        }
        let result = try await registration().align(broken, to: fixed)
        #expect(error(result.transform, home) < 0.6, "\(result)")
    }

    @Test func outliersDoNotHideTheRest() async throws {
        var bright = moving
        bright[0, 0, 0] = 1e30
        bright[1, 0, 0] = -1e30
        let result = try await registration().align(bright, to: fixed)
        #expect(error(result.transform, home) < 0.6, "\(result)")
    }

    @Test func fieldsOfViewThatCannotMeetAreRefused() async throws {
        // A slab that can never show a quarter of the fixed volume.
        let slab = Volume.brainPhantom(on: VoxelGrid(shape: [40, 46, 4], spacing: [2, 2, 2]))
        let error = try await #require(throws: RegistrationError.self) {
            try await registration().align(slab, to: fixed)
        }
        guard case .insufficientOverlap(let largest, 0.25) = error else {
            Issue.record("\(error)")
            return
        }
        #expect(largest > 0 && largest < 0.25)
        #expect(error.description.contains("barely overlap"))
    }

    @Test func littleOverlapIsWarnedOf() async throws {
        let half = Volume.brainPhantom(on: VoxelGrid(shape: [40, 46, 36], spacing: [2, 2, 2]))
        let part = Volume(
            grid: VoxelGrid(
                shape: [40, 46, 14], affine: Affine(spacing: [2, 2, 2], translation: [0, 0, 22])),
            voxels: Array(half.slices(11..<25)))
        let result = try await registration().align(part, to: fixed)
        #expect(error(result.transform, .identity) < 1, "\(result)")
        #expect(
            result.warnings.contains { if case .lowOverlap(let overlap) = $0 { overlap < 0.5 } else { false } },
            "\(result)")
    }

    @Test func volumesThatShareNothingAreWarnedOf() async throws {
        var random = SeededGenerator(seed: 5)
        let noise = Volume.random(shape: [40, 46, 36], spacing: [2, 2, 2], using: &random)
        let result = try await registration().align(noise, to: fixed)
        #expect(
            result.warnings.contains { if case .weakSimilarity = $0 { true } else { false } }, "\(result)")
    }

    @Test func masksAreChecked() async throws {
        let other = Volume(grid: VoxelGrid(shape: [5, 5, 5]), repeating: 1)
        await #expect(throws: RegistrationError.maskGrid(found: other.grid, expected: fixed.grid)) {
            try await registration().align(moving, to: fixed, mask: other)
        }
        await #expect(throws: RegistrationError.emptyMask) {
            try await registration().align(moving, to: fixed, mask: Volume(grid: fixed.grid))
        }
    }

    // MARK: Progress and cancellation

    @Test func progressRisesToOne() async throws {
        let reports = Mutex<[Double]>([])
        _ = try await registration().align(moving, to: fixed) { fraction in
            reports.withLock { $0.append(fraction) }
        }
        let fractions = reports.withLock { $0 }
        #expect(fractions == fractions.sorted() && fractions.last == 1 && fractions.count > 3)
        #expect(fractions.allSatisfy { (0...1).contains($0) })
    }

    @Test func aCancelledTaskThrows() async {
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await registration().align(moving, to: fixed)
        }
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    // MARK: Real volumes

    @Test(.enabled(if: Fixtures.hasData, Fixtures.missingData))
    func aRealPairIsRecovered() async throws {
        let (ct, t1) = (
            try Volume(contentsOf: Fixtures.data("ct_template_2mm.nii.gz")),
            try Volume(contentsOf: Fixtures.data("avg152_t1_2mm.nii.gz"))
        )
        let aligned = try await RigidRegistration().align(ct, to: t1)
        let motion = RigidTransform(degrees: [12, -17, 19], millimetres: [-18, 14, 20])
        let result = try await RigidRegistration().align(ct.moved(by: motion), to: t1)
        // The templates themselves are apart by 1.2 mm; ANTs and elastix find so as well.
        let rest = result.transform.after(motion).after(aligned.transform.inverse)
        #expect(rest.angle < 0.3 && (rest([0, -20, 10]) - [0, -20, 10]).norm < 0.5, "\(result)")
        #expect(result.warnings.isEmpty, "\(result)")
    }
}
