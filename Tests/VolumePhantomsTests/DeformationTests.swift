import TestSupport
import Testing
import VolumePhantoms

struct DeformationTests {
    /// The law of ``Deformation``: it turns nothing inside out, and no two points meet.
    @Test func theJacobianIsAboveZero() async {
        await checkLaw(cases: 60) { generator in
            let cohort = PhantomCohort(
                seed: generator.next(), shape: [8, 8, 8],
                deformation: Double.random(in: 0...2, using: &generator))
            let map = cohort.deformation(ofSubject: Int.random(in: 0...99, using: &generator))
            for _ in 0..<200 {
                let values = generator.floats(3, in: -120...120)
                let p = SIMD3(values[0], values[1], values[2])
                let columns = [SIMD3<Float>(1, 0, 0), [0, 1, 0], [0, 0, 1]].map {
                    (map(p + $0) - map(p - $0)) / 2
                }
                let (a, b, c) = (columns[0], columns[1], columns[2])
                let determinant =
                    a.x * (b.y * c.z - b.z * c.y) - b.x * (a.y * c.z - a.z * c.y)
                    + c.x * (a.y * b.z - a.z * b.y)
                try #require(determinant > 0.01, "\(determinant) at \(p)")
            }
        }
    }

    @Test func nothingMovesWithoutDeformation() {
        let map = PhantomCohort(seed: 1, shape: [8, 8, 8], deformation: 0).deformation(ofSubject: 5)
        #expect(map([10, -20, 30]) == [10, -20, 30])
    }

    @Test func headsDifferByMillimetres() {
        let cohort = PhantomCohort(seed: 2, shape: [8, 8, 8])
        let moves = (0..<40).map { number in
            let move = cohort.deformation(ofSubject: number)([40, 50, 20]) - [40, 50, 20]
            return (move * move).sum().squareRoot()
        }
        let mean = moves.reduce(0, +) / Float(moves.count)
        #expect((2...10).contains(mean), "\(mean)")
        #expect(moves.max()! < 30)
    }
}
