import Preprocessing
import TestSupport
import Testing
import Volumes

/// What counts as background: heads of which it is known.
struct BackgroundTests {
    private static let grid = VoxelGrid(shape: [36, 40, 30], spacing: [5, 5, 5])

    /// Labels: 0 air, 1 scalp, 2 skull, 3 brain.
    private static let labels: [Int] = {
        var labels: [Int] = []
        for z in 0..<30 {
            for y in 0..<40 {
                for x in 0..<36 {
                    let place = SIMD3(Double(x) - 17.5, Double(y) - 19.5, Double(z) - 14.5) / [16, 18, 13.5]
                    let radius = (place * place).sum().squareRoot()
                    labels.append(radius > 1 ? 0 : radius > 0.93 ? 1 : radius > 0.85 ? 2 : 3)
                }
            }
        }
        return labels
    }()

    private func head(
        _ levels: [Float], deviation: Float = 2, airDeviation: Float = 0, using generator: inout SeededGenerator
    ) -> Volume {
        func normal() -> Float {
            (0..<12).reduce(-6) { sum, _ in sum + Float.random(in: 0...1, using: &generator) }
        }
        return Volume(
            grid: Self.grid,
            voxels: Self.labels.map { levels[$0] + ($0 == 0 ? airDeviation : deviation) * normal() })
    }

    private func ct(airDeviation: Float = 12, using generator: inout SeededGenerator) -> Volume {
        head([-1000, 30, 1200, 34], airDeviation: airDeviation, using: &generator)
    }

    private let isHead = labels.map { $0 > 0 }

    /// Voxels beyond a cylinder, the field of view of a CT.
    private var beyondView: [Bool] {
        Self.labels.indices.map { index in
            let (x, y) = (Double(index % 36) - 17.5, Double(index / 36 % 40) - 19.5)
            return (x * x / 324 + y * y / 400) > 0.98
        }
    }

    @Test func airOfACTIsBackgroundWhateverIsBeyondTheView() async {
        await checkLaw(cases: 20) { generator in
            let plain = ct(airDeviation: Float.random(in: 0...30, using: &generator), using: &generator)
            for padding in [-1000, -1024, -2000, -3024, Float.nan] {
                var volume = plain
                for (index, isBeyond) in beyondView.enumerated() where isBeyond {
                    volume.voxels[index] = padding
                }
                try #require(ForegroundMask(of: volume).isForeground == isHead, "\(padding)")
            }
        }
    }

    /// Noise in the air of an MR image, constant or cut off at 0, masked in the corners or not.
    @Test func noiseOfMRIsBackground() async {
        await checkLaw(cases: 30) { generator in
            let deviation = Float.random(in: 1...20, using: &generator)
            let quiet = head([0, 500, 300, 900], deviation: 20, using: &generator)
            let noise = head([0, 0, 0, 0], deviation: deviation, airDeviation: deviation, using: &generator)
            let other = head([0, 0, 0, 0], deviation: deviation, airDeviation: deviation, using: &generator)
            func magnitude(_ real: Float, _ imaginary: Float) -> Float {
                (real * real + imaginary * imaginary).squareRoot()
            }
            var rician = quiet
            for i in rician.voxels.indices {
                rician.voxels[i] = magnitude(quiet.voxels[i] + noise.voxels[i], other.voxels[i])
            }
            var corners = rician
            for (index, isBeyond) in beyondView.enumerated() where isBeyond { corners.voxels[index] = 0 }
            let cut = Volume(grid: quiet.grid, voxels: zip(quiet.voxels, noise.voxels).map { max($0 + $1, 0) })
            for volume in [quiet, rician, corners, cut] {
                let found = ForegroundMask(of: volume).isForeground
                let wrong = zip(found, isHead).count { $0 != $1 }
                try #require(wrong <= 2, "noise of \(deviation): \(wrong) voxels")
            }
        }
    }

    /// Outside at 0, all tissue below it.
    @Test func aBackgroundMayBeTheBrightest() {
        var generator = SeededGenerator(seed: 2)
        let volume = head([0, -40, -90, -25], using: &generator)
        #expect(ForegroundMask(of: volume).isForeground == isHead)
        #expect(ForegroundMask(of: volume, background: .value(0)).isForeground == isHead)
        #expect(ForegroundMask(of: volume, background: .lowest).isForeground != isHead)
    }

    @Test func aStatedBackgroundIsTaken() {
        var generator = SeededGenerator(seed: 3)
        let volume = ct(using: &generator)
        #expect(ForegroundMask(of: volume, background: .atMost(-400)).isForeground == isHead)
        #expect(ForegroundMask(of: volume, background: .value(77)).isForeground.allSatisfy { $0 })
    }

    /// A volume cut out of tissue has no background, and is warned of.
    @Test func aCroppedVolumeIsForeground() throws {
        var generator = SeededGenerator(seed: 4)
        let volume = Volume.random(shape: [9, 9, 9], using: &generator).map { 800 + 100 * $0 }
        let fit = try IntensityFit(RescaleIntensity(), to: volume)
        #expect(fit.foreground.isForeground.count { $0 } > 700)
        #expect(fit.warnings == [.borderIsForeground(1)])
    }

    @Test func notANumberIsBackgroundEverywhere() throws {
        var generator = SeededGenerator(seed: 5)
        var volume = head([0, 500, 300, 900], using: &generator)
        let middle = Self.grid.offset(18, 20, 15)
        volume.voxels[middle] = .nan
        let fit = try IntensityFit(RescaleIntensity(), to: volume)
        #expect(!fit.foreground.isForeground[middle] && fit.scaled.voxels[middle] == 0)
        #expect(fit.scaled.voxels.allSatisfy { $0.isFinite })
    }

    @Test func aCTIsWarnedOf() throws {
        var generator = SeededGenerator(seed: 6)
        let volume = ct(using: &generator)
        let whole = try IntensityFit(RescaleIntensity(), to: volume).warnings
        #expect(
            whole.count == 2 && "\(whole[0])".contains("give a window") && "\(whole[1])".contains("whole head"))
        let windowed = try IntensityFit(RescaleIntensity(.window(.brain)), to: volume).warnings
        #expect(windowed.count == 1 && "\(windowed[0])".contains("whole head"))
        let isBrain = Volume(grid: volume.grid, voxels: Self.labels.map { $0 == 3 ? 1 : 0 })
        let mask = ForegroundMask(above: 0, in: isBrain)
        #expect(try IntensityFit(RescaleIntensity(.window(.brain)), to: volume, mask: mask).warnings.isEmpty)
        let wrong = try IntensityFit(RescaleIntensity(.window(.bone)), to: volume.map { $0 * 100 }).warnings
        #expect(wrong.contains { if case .outsideTheRange = $0 { true } else { false } })
    }

    /// A pipeline measures inside a mask, wherever in it intensities are scaled, and tells the foreground on the source's grid.
    @Test func aMaskHoldsInAPipeline() throws {
        var generator = SeededGenerator(seed: 7)
        let volume = ct(using: &generator)
        let isBrain = Self.labels.map { $0 == 3 }
        let mask = ForegroundMask(above: 0, in: Volume(grid: volume.grid, voxels: isBrain.map { $0 ? 1 : 0 }))
        let step = RescaleIntensity(.window(.brain))
        let first = try PreprocessingPipeline.brain(spacing: 5, intensities: step).apply(to: volume, mask: mask)
        #expect(first.foreground == mask)
        #expect(first.volume.shape == [31, 31, 23] || all(first.volume.shape .< volume.shape))
        let last = try PreprocessingPipeline([Reorient(to: Orientation(code: "LPS")!), step]).apply(
            to: volume, mask: mask)
        #expect(last.foreground == mask && last.volume.voxels.count { $0 > 0 } == isBrain.count { $0 })
    }
}

/// Masks from masks.
struct MaskOperationTests {
    @Test func otsuPartsTwoClasses() async {
        await checkLaw(cases: 50) { generator in
            let grid = VoxelGrid(shape: [10, 10, 10])
            let (low, gap) = (
                Float.random(in: -500...500, using: &generator), Float.random(in: 50...900, using: &generator)
            )
            let isBright = (0..<1000).map { _ in Int.random(in: 0..<4, using: &generator) == 0 }
            let volume = Volume(
                grid: grid,
                voxels: isBright.map { low + ($0 ? gap : 0) + Float.random(in: 0...gap / 4, using: &generator) }
            )
            try #require(ForegroundMask.otsu(of: volume).isForeground == isBright)
        }
    }

    @Test func theLargestPartStaysAndHolesAreFilled() {
        var volume = Volume(grid: VoxelGrid(shape: [9, 9, 9]))
        for z in 1...5 { for y in 1...5 { for x in 1...5 { volume[x, y, z] = 1 } } }
        volume[3, 3, 3] = 0
        volume[7, 7, 7] = 1
        volume[8, 0, 0] = 1
        let mask = ForegroundMask(above: 0.5, in: volume)
        #expect(mask.isForeground.count { $0 } == 126)
        let largest = mask.largestComponent(on: volume.grid)
        #expect(largest.isForeground.count { $0 } == 124)
        #expect(largest.fillingHoles(on: volume.grid).isForeground.count { $0 } == 125)
        #expect(largest.volume(on: volume.grid)[2, 2, 2] == 1)
    }

    /// The end of a row is no neighbour of the next row's beginning.
    @Test func partsDoNotWrapAround() {
        var volume = Volume(grid: VoxelGrid(shape: [4, 4, 4]))
        (volume[3, 0, 0], volume[0, 1, 0], volume[1, 1, 0]) = (1, 1, 1)
        let largest = ForegroundMask(above: 0, in: volume).largestComponent(on: volume.grid)
        #expect(largest.isForeground.count { $0 } == 2)
    }
}
