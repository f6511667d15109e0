import Testing
import TestSupport
import Volumes

@Suite struct OrientationTests {
    @Test func codeOfAnAffineAlongTheWorldsAxes() {
        for orientation in Orientation.all {
            var columns = [SIMD3<Double>](repeating: .zero, count: 3)
            for (axis, direction) in orientation.directions.enumerated() {
                columns[axis][direction.worldAxis] = direction.isPositive ? 2 : -2
            }
            let affine = Affine(columns: columns[0], columns[1], columns[2])
            #expect(Orientation(nearestTo: affine) == orientation)
        }
        #expect(Set(Orientation.all).count == 48)
    }

    @Test func codesOfKnownAffines() {
        func code(_ x: SIMD3<Double>, _ y: SIMD3<Double>, _ z: SIMD3<Double>) -> String {
            Orientation(nearestTo: Affine(columns: x, y, z)).description
        }
        // The templates of SPM are stored with x to the left; DICOM's axial slices run left and back.
        #expect(code([-2, 0, 0], [0, 2, 0], [0, 0, 2]) == "LAS")
        #expect(code([-1, 0, 0], [0, -1, 0], [0, 0, 1]) == "LPS")
        #expect(code([0, 0, -1.2], [0, -1, 0], [1, 0, 0]) == "IPR")
        // A head tilted by 30 degrees about the x axis.
        #expect(code([1, 0, 0], [0, 0.866, 0.5], [0, -0.5, 0.866]) == "RAS")
        // Two axes lean towards the head; the one that leans more has it, the other keeps to its own side.
        #expect(code([1, 0, 0], [0, 0.6, 0.8], [0, -0.7, 0.72]) == "RSP")
    }

    @Test func eachWorldAxisIsTakenOnce() async {
        await checkLaw { generator in
            let orientation = Orientation(nearestTo: generator.affine())
            try #require(Set(orientation.directions.map(\.worldAxis)) == [0, 1, 2])
            for worldAxis in 0..<3 {
                let axis = orientation.voxelAxis(onWorldAxis: worldAxis)
                try #require(orientation.directions[axis].worldAxis == worldAxis)
            }
        }
    }

    @Test func codeReadsBack() {
        for orientation in Orientation.all {
            #expect(Orientation(code: orientation.description) == orientation)
        }
        #expect(Orientation(code: "lps")?.description == "LPS")
        for wrong in ["", "RA", "RASX", "RAX", "RLS", "RRS", "RASR"] {
            #expect(Orientation(code: wrong) == nil, "\(wrong)")
        }
    }
}
