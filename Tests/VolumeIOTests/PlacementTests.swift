import Foundation
import Testing
import VolumeIO
import Volumes

@Suite("Placement") struct PlacementTests {
    private func header(_ change: (inout NIfTIBytes) -> Void) throws -> NIfTIHeader {
        var headers: [NIfTIHeader] = []
        for version in [1, 2] {
            var file = NIfTIBytes(version: version)
            change(&file)
            headers.append(try withFile(file.bytes) { try NIfTIHeader(contentsOf: $0) })
        }
        #expect(headers[0].grid.affine.largestDifference(from: headers[1].grid.affine) < 1e-4)
        #expect(headers[0].placement == headers[1].placement)
        return headers[0]
    }

    private let rows: [[Double]] = [[0, -2, 0.25, 10], [1.5, 0, 0, -20], [0, 0.5, 3, 30]]
    private let rowsAffine = Affine(rows: [0, -2, 0.25, 10], [1.5, 0, 0, -20], [0, 0.5, 3, 30])

    @Test func sformComesFirst() throws {
        let header = try header {
            ($0.sformCode, $0.qformCode, $0.rows) = (4, 1, rows)
            $0.quaternionOffset = [7, 8, 9]
        }
        #expect(header.placement == .sform)
        #expect(header.grid.affine == rowsAffine)
        #expect((header.sformCode, header.qformCode) == (4, 1))
        #expect(header.space == .mni152)
    }

    /// Numbers computed with NiBabel.
    @Test(arguments: [1.0, -1.0, 0.0]) func qform(qfac: Double) throws {
        let header = try header {
            $0.qformCode = 1
            $0.pixdim = [qfac, 1.5, 2, 3, 0, 0, 0, 0]
            ($0.quaternion, $0.quaternionOffset) = ([0.1, 0.2, 0.3], [-10, 20, 30.5])
            $0.rows = rows
        }
        let sign = qfac < 0 ? -1.0 : 1
        let expected = Affine(
            rows: [1.10999997, -1.03283426, sign * 1.29283424, -10],
            [0.8946257, 1.59999997, sign * -0.1964171, 20],
            [-0.46641711, 0.61094476, sign * 2.69999999, 30.5])
        #expect(header.placement == .qform)
        #expect(header.space == .scanner)
        #expect(header.grid.affine.largestDifference(from: expected) < 1e-6)
    }

    /// As NiBabel reads it.
    @Test func spacingAloneIsLASAboutTheCentre() throws {
        let header = try header {
            $0.pixdim = [1, 1.5, -2, 3, 0, 0, 0, 0]
            ($0.rows, $0.quaternionOffset) = (rows, [7, 8, 9])
        }
        #expect(header.placement == .spacing)
        #expect(header.space == nil)
        let expected = Affine(rows: [-1.5, 0, 0, 0.75], [0, 2, 0, -2], [0, 0, 3, -4.5])
        #expect(header.grid.affine == expected)
        #expect(header.warnings == [.noOrientation])
    }

    @Test func formsThatDisagreeAreNamed() throws {
        let half = 20 * Double.pi / 360
        let header = try header {
            ($0.sformCode, $0.qformCode) = (2, 1)
            $0.rows = [[2, 0, 0, -3], [0, 2, 0, 5], [0, 0, 2, 1]]
            $0.pixdim = [1, 2, 2, 2, 0, 0, 0, 0]
            // Turned by 20 degrees about z, and 3 mm further up.
            ($0.quaternion, $0.quaternionOffset) = ([0, 0, sin(half)], [-3, 5, 4])
        }
        #expect(header.placement == .sform)
        guard case .formsDisagree(let degrees, let millimetres)? = header.warnings.first else {
            Issue.record("\(header.warnings)")
            return
        }
        #expect(abs(degrees - 20) < 1e-4)
        // The farthest corner of the field of view moves by 2 sin(10 degrees) of its distance from the first voxel.
        let end = SIMD3<Double>(header.grid.shape) - 0.5
        let moved = 2 * sin(half) * 2 * (end.x * end.x + end.y * end.y).squareRoot()
        let expected = (moved * moved + 9).squareRoot()
        #expect(abs(millimetres - expected) < 1e-4)
        let turned = try self.header {
            ($0.sformCode, $0.qformCode, $0.quaternionOffset) = (2, 1, [0.05, 0, 0])
        }
        #expect(turned.warnings.isEmpty)
    }

    @Test(arguments: [0: 1, 1: 1000, 2: 1, 3: 0.001, 1 | 8: 1000, 3 | 16: 0.001] as [UInt8: Double])
    func unitsOfLength(units: UInt8, millimetres: Double) throws {
        func expect(_ affine: Affine, _ change: (inout NIfTIBytes) -> Void) throws {
            let found = try header {
                $0.units = units
                $0.pixdim = [1, 1.5, 2, 3, 0, 0, 0, 0]
                change(&$0)
            }
            #expect(found.grid.affine.largestDifference(from: affine) < 1e-6 * millimetres)
        }
        let spacing = SIMD3(1.5, 2, 3) * millimetres
        try expect(
            Affine(
                columns: [-spacing.x, 0, 0], [0, spacing.y, 0], [0, 0, spacing.z],
                translation: spacing * [0.5, -1, -1.5])
        ) { _ in }
        try expect(Affine(spacing: spacing, translation: SIMD3(4, 5, 6) * millimetres)) {
            ($0.qformCode, $0.quaternionOffset) = (1, [4, 5, 6])
        }
        let scaled = rowsAffine.rows.map { $0 * millimetres }
        try expect(Affine(rows: scaled[0], scaled[1], scaled[2])) { ($0.sformCode, $0.rows) = (2, rows) }
    }

    @Test(arguments: [
        [[Double.nan, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]],
        [[1, 0, 0, .infinity], [0, 1, 0, 0], [0, 0, 1, 0]],
        [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0]],
        [[1e30, 0, 0, 0], [0, 1e30, 0, 0], [0, 0, 1e30, 0]],
    ])
    func anUnusableSformGivesWay(rows: [[Double]]) throws {
        let qform = try header {
            ($0.sformCode, $0.rows) = (2, rows)
            ($0.qformCode, $0.quaternionOffset) = (3, [4, 5, 6])
        }
        #expect(qform.placement == .qform)
        #expect(qform.warnings == [.unusableForm("sform", code: 2)])
        #expect(qform.space == .talairach)
        #expect(qform.grid.affine == Affine(spacing: .one, translation: [4, 5, 6]))

        let spacing = try header {
            ($0.sformCode, $0.rows) = (2, rows)
            ($0.qformCode, $0.quaternion) = (1, [1, 1, 1])
        }
        #expect(spacing.placement == .spacing)
        #expect(
            spacing.warnings
                == [.unusableForm("sform", code: 2), .unusableForm("qform", code: 1), .noOrientation])

        let error = #expect(throws: VolumeIOError.self) {
            try header {
                ($0.sformCode, $0.rows, $0.qformCode) = (2, rows, 1)
                $0.pixdim[2] = .nan
            }
        }
        #expect(error?.reason == .noUsablePlacement)
    }
}
