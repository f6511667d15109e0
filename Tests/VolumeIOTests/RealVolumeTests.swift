import Foundation
import TestSupport
import Testing
import VolumeIO
import Volumes

/// Shapes, spacings, orientations, extremes and means computed with NiBabel and NumPy.
@Suite("Real volumes", .enabled(if: Fixtures.hasData, Fixtures.missingData)) struct RealVolumeTests {
    struct Expected: Sendable, CustomTestStringConvertible {
        let name: String
        let shape: SIMD3<Int>
        let spacing: SIMD3<Double>
        let orientation: String
        let type: String
        let range: ClosedRange<Float>
        let mean: Double
        let codes: [Int]

        var testDescription: String { name }
    }

    static let volumes = [
        Expected(
            name: "avg152_pd_2mm", shape: [91, 109, 91], spacing: [2, 2, 2], orientation: "LAS",
            type: "uint8", range: 0...1, mean: 0.2889273524237142, codes: [4, 4]),
        Expected(
            name: "avg152_t1_2mm", shape: [91, 109, 91], spacing: [2, 2, 2], orientation: "LAS",
            type: "uint8", range: 0...1, mean: 0.27396804493378535, codes: [4, 4]),
        Expected(
            name: "avg152_t2_2mm", shape: [91, 109, 91], spacing: [2, 2, 2], orientation: "LAS",
            type: "uint8", range: 0...1, mean: 0.17249799755784356, codes: [4, 4]),
        Expected(
            name: "colin27_t1_2mm", shape: [91, 109, 91], spacing: [2, 2, 2], orientation: "LAS",
            type: "uint8", range: 0...0.9960785, mean: 0.17139346553311877, codes: [2, 2]),
        Expected(
            name: "ct_head_oblique", shape: [175, 248, 58], spacing: [0.8125, 0.8125, 2.39705],
            orientation: "RAS", type: "uint8", range: 0...255, mean: 38.0100095344033, codes: [2, 2]),
        Expected(
            name: "ct_template_2mm", shape: [91, 109, 91], spacing: [2, 2, 2], orientation: "LAS",
            type: "uint8", range: 0...3794.4343, mean: 1447.2062500421825, codes: [2, 2]),
        Expected(
            name: "ct_template_brain_2mm", shape: [91, 109, 91], spacing: [2, 2, 2], orientation: "LAS",
            type: "int16", range: 0...3055, mean: 653.3856257665109, codes: [2, 2]),
        Expected(
            name: "subject113_flair", shape: [170, 256, 256], spacing: [1.2, 1, 1], orientation: "RPS",
            type: "float32", range: -91.102104...282902.66, mean: 12091.184087462156, codes: [1, 2]),
        Expected(
            name: "subject113_t1", shape: [170, 256, 256], spacing: [1.2, 1, 1], orientation: "RPS",
            type: "float32", range: 0...1.7334901e+06, mean: 41416.2548645608, codes: [1, 2]),
        Expected(
            name: "subject113_t2", shape: [170, 256, 256], spacing: [1.2, 1, 1], orientation: "RPS",
            type: "float32", range: -9460.803...1.1105403e+07, mean: 193249.5343782791, codes: [1, 2]),
        Expected(
            name: "t1gd_brain", shape: [176, 188, 144], spacing: [0.976562, 0.976562, 1.0026],
            orientation: "RAS", type: "uint8", range: 0...1653, mean: 153.2744775213591, codes: [2, 2]),
        Expected(
            name: "tiny_int", shape: [4, 5, 7], spacing: [1, 3, 2], orientation: "RAS",
            type: "uint8", range: 0...255, mean: 54.642857142857146, codes: [2, 0]),
    ]

    @Test(arguments: volumes) func volume(expected: Expected) throws {
        let file = try VolumeFile(contentsOf: Fixtures.data(expected.name + ".nii.gz"))
        let (grid, header) = (file.volume.grid, file.header)
        #expect(grid.shape == expected.shape)
        #expect((0..<3).allSatisfy { abs(grid.spacing[$0] - expected.spacing[$0]) < 1e-5 })
        #expect(grid.orientation.description == expected.orientation)
        #expect(header.dataType == expected.type)
        #expect([header.sformCode, header.qformCode] == expected.codes)
        #expect((header.version, header.placement) == (.nifti1, .sform))
        #expect(file.notFinite == 0)
        #expect(file.volume.intensityRange == expected.range)
        let mean = file.volume.voxels.reduce(0.0) { $0 + Double($1) } / Double(grid.count)
        #expect(abs(mean - expected.mean) < 1e-6 * expected.mean)
    }

    @Test(arguments: [
        ("functional_4d", [17, 21, 3, 20]), ("perfusion_4d", [52, 68, 20, 10]),
        ("nifti2_example", [32, 20, 12, 2]),
    ])
    func series(name: String, shape: [Int]) throws {
        let url = Fixtures.data(name + ".nii.gz")
        let error = #expect(throws: VolumeIOError.self) { try Volume(contentsOf: url) }
        #expect(error?.reason == .notOneVolume(shape: shape))
        #expect(try NIfTIHeader(contentsOf: url).shape == shape)
    }

    @Test func nifti2Header() throws {
        let header = try NIfTIHeader(contentsOf: Fixtures.data("nifti2_example.nii.gz"))
        #expect(header.version == .nifti2)
        #expect(header.dataType == "int16")
        #expect(header.grid.orientation.description == "LAS")
        #expect((header.grid.spacing - [2, 2, 2.199999]).x.magnitude < 1e-5)
        #expect((header.sformCode, header.qformCode) == (1, 1))
        #expect(header.text == "FSL3.3")
    }

    @Test func aSeriesIsReadFromSeveralThreadsAtOnce() async throws {
        let urls = Self.volumes.prefix(6).map { Fixtures.data($0.name + ".nii.gz") }
        let alone = try urls.map { try Volume(contentsOf: $0) }
        let together = try await withThrowingTaskGroup(of: (Int, Volume).self) { group in
            for (i, url) in (urls + urls).enumerated() {
                group.addTask { (i % urls.count, try Volume(contentsOf: url)) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        for (i, volume) in together { #expect(volume == alone[i]) }
    }
}
