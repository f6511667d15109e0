import Foundation
import TestSupport
import Testing
import VolumeIO
import Volumes

@Suite("Round trips") struct RoundTripTests {
    /// A random grid: any rotation, spacing from 0.3 to 5 mm, shear on half of them, either handedness.
    static func grid(using generator: inout SeededGenerator) -> VoxelGrid {
        func random(_ range: ClosedRange<Double>) -> Double { .random(in: range, using: &generator) }
        var affine = Affine(
            spacing: .one, translation: [random(-200...200), random(-200...200), random(-200...200)])
        for axis in 0..<3 {
            let (angle, i, j) = (random(-Double.pi...Double.pi), axis, (axis + 1) % 3)
            var turn = [SIMD3<Double>(1, 0, 0), [0, 1, 0], [0, 0, 1]]
            (turn[i][i], turn[i][j], turn[j][i], turn[j][j]) = (cos(angle), sin(angle), -sin(angle), cos(angle))
            affine = affine.after(Affine(columns: turn[0], turn[1], turn[2]))
        }
        var spacing = SIMD3(random(0.3...5), random(0.3...5), random(0.3...5))
        if Bool.random(using: &generator) { spacing.z = -spacing.z }
        affine = affine.after(Affine(spacing: spacing))
        if Bool.random(using: &generator) {
            affine = affine.after(
                Affine(columns: [1, 0, 0], [random(-0.5...0.5), 1, 0], [0, random(-0.5...0.5), 1]))
        }
        let shape = SIMD3((0..<3).map { _ in Int.random(in: 1...12, using: &generator) })
        return VoxelGrid(shape: shape, affine: affine)
    }

    /// Reading gives back what was written: each voxel to the bit, the affine to 1e-4.
    @Test(arguments: NIfTIHeader.Version.allCases, ["volume.nii", "volume.nii.gz"])
    func writeThenRead(version: NIfTIHeader.Version, name: String) async throws {
        try await withTemporaryFolder { folder in
            let url = folder.appending(path: name)
            await checkLaw { generator in
                let grid = Self.grid(using: &generator)
                let voxels = (0..<grid.count).map { _ in
                    Float(bitPattern: .random(in: 0..<0x7F80_0000, using: &generator))
                }
                let space = NIfTISpace.allCases.randomElement(using: &generator)!
                let volume = Volume(grid: grid, voxels: voxels)
                try volume.write(to: url, version: version, space: space, text: "a ± b")

                let file = try VolumeFile(contentsOf: url)
                try #require(file.volume.voxels.map(\.bitPattern) == voxels.map(\.bitPattern))
                try #require(file.volume.grid.affine.largestDifference(from: grid.affine) < 1e-4)
                try #require(file.header.version == version && file.header.space == space)
                try #require(file.header.placement == .sform && file.header.text == "a ± b")
                try #require(file.header.dataType == "float32" && file.notFinite == 0)
            }
        }
    }

    /// Where a qform is written, it says what the sform says; it is written where there is no shear.
    @Test(arguments: NIfTIHeader.Version.allCases)
    func qformAgreesWithSform(version: NIfTIHeader.Version) async throws {
        try await withTemporaryFolder { folder in
            let url = folder.appending(path: "volume.nii")
            var withQform = 0
            await checkLaw { generator in
                let grid = Self.grid(using: &generator)
                let c = grid.affine.columns
                let cosines = [(c.x * c.y).sum(), (c.y * c.z).sum(), (c.z * c.x).sum()]
                let isSheared = cosines.contains { abs($0) > 1e-2 }
                try Volume(grid: grid).write(to: url, version: version)
                var bytes = Array(try Data(contentsOf: url))
                let codes = version == .nifti1 ? 252..<256 : 344..<352
                let (qform, sform) = (
                    bytes[codes.prefix(codes.count / 2)], bytes[codes.suffix(codes.count / 2)]
                )
                try #require(sform.contains(2))
                withQform += qform.contains(2) ? 1 : 0
                // Too few voxels for the shear to show are placed right by a qform as well.
                if isSheared, grid.shape.min() > 4 { try #require(!qform.contains(2)) }
                if !isSheared { try #require(qform.contains(2)) }
                guard qform.contains(2) else { return }

                bytes[codes.suffix(codes.count / 2).lowerBound] = 0
                try Data(bytes).write(to: url)
                let header = try NIfTIHeader(contentsOf: url)
                try #require(header.placement == .qform)
                try #require(header.grid.distance(to: grid) <= 0.011 * grid.spacing.min())
            }
            #expect(withQform > 30)
        }
    }

    @Test func aLongAxisIsWrittenAsNIfTI2() throws {
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "long.nii.gz")
            let long = Volume(grid: VoxelGrid(shape: [32_768, 1, 1]), repeating: 3)
            try long.write(to: url)
            let file = try VolumeFile(contentsOf: url)
            #expect(file.header.version == .nifti2)
            #expect(file.volume == long)
            let error = #expect(throws: VolumeIOError.self) { try long.write(to: url, version: .nifti1) }
            #expect(error?.reason == .gridTooLargeForNIfTI1(shape: [32_768, 1, 1]))

            try Volume(grid: VoxelGrid(shape: [32_767, 1, 1])).write(to: url)
            #expect(try NIfTIHeader(contentsOf: url).version == .nifti1)
        }
    }

    @Test func pathsAsText() throws {
        try withTemporaryFolder { folder in
            let path = folder.appending(path: "Ganz fein ö.NII.GZ").path
            let volume = Volume(grid: VoxelGrid(shape: [2, 2, 2]), voxels: (0..<8).map { Float($0) })
            try volume.write(to: path)
            #expect(try Volume(contentsOf: path) == volume)
        }
    }
}

extension SIMD3<Int> {
    fileprivate init(_ values: [Int]) { self.init(values[0], values[1], values[2]) }
}
