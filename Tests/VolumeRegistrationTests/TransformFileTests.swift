import Foundation
import TestSupport
import Testing

@testable import VolumeRegistration

/// Transforms are written and read back, and ITK's files mean what ITK says that they mean.
struct TransformFileTests {
    /// Files that SimpleITK 2.5 wrote, and where it takes (10, -20, 30), the origin and (-55.5, 12.25, 70), in LPS.
    private static let files: [(parameters: String, points: [SIMD3<Double>])] = [
        (
            """
            Transform: Euler3DTransform_double_3_3
            Parameters: 0.1 -0.2 0.3 1 2 -3
            FixedParameters: 5 -7 11 0
            """,
            [
                [11.47659734, -18.895420951, 26.218785859], [1.000614794, 1.974564898, -3.016423741],
                [-66.152701275, -12.056743031, 55.49739547],
            ]
        ),
        (
            """
            Transform: Euler3DTransform_double_3_3
            Parameters: 0.1 -0.2 0.3 1 2 -3
            FixedParameters: 5 -7 11 1
            """,
            [
                [11.722804046, -18.755032892, 26.249618736], [0.880386274, 1.856481992, -3.035316488],
                [-66.072200822, -13.410788422, 55.399040146],
            ]
        ),
        (
            """
            Transform: VersorRigid3DTransform_double_3_3
            Parameters: 0.0916432938695913 0.1832865877391826 -0.2749298816087739 1 2 -3
            FixedParameters: 5 -7 11
            """,
            [
                [8.341871561, -23.417208599, 22.502484788], [2.709088083, 6.241377085, 0.397280751],
                [-13.355898502, 24.129377776, 87.30095235],
            ]
        ),
        (
            """
            Transform: AffineTransform_double_3_3
            Parameters: 0.781639173907025 0.5501172307043584 0.29395787843858057 -0.4829292842142122 \
            0.8320301337746345 -0.27295633888831433 -0.3947397981737998 0.07139249941787584 0.9160150668873173 1 2 -3
            FixedParameters: 5 -7 11
            """,
            [
                [8.341871561, -23.417208599, 22.502484788], [2.709088083, 6.241377085, 0.397280751],
                [-13.355898502, 24.129377776, 87.30095235],
            ]
        ),
    ]

    private static let header = "#Insight Transform File V1.0\n#Transform 0\n"

    private static func read(_ text: String, name: String = "t.tfm") throws -> RigidTransform {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: name)
            try Data(text.utf8).write(to: file)
            return try RigidTransform(contentsOf: file)
        }
    }

    @Test(arguments: files.indices) func filesOfITKAreRead(index: Int) throws {
        let file = Self.files[index]
        let transform = try Self.read(Self.header + file.parameters + "\n")
        let points: [SIMD3<Double>] = [[10, -20, 30], .zero, [-55.5, 12.25, 70]]
        for (point, image) in zip(points, file.points) {
            // ITK's map leads from the fixed image to the moving one; ours is the inverse, in RAS.
            let ras: SIMD3<Double> = [-1, -1, 1]
            #expect((transform(image * ras) - point * ras).norm < 1e-7)
        }
    }

    /// The text is parsed here again, and its map computed from the numbers alone.
    @Test func writtenFilesMapTheFixedImageToTheMovingOne() async throws {
        await checkLaw(cases: 20) { random in
            let transform = RigidTransform.random(using: &random)
            let text = try withTemporaryFolder { folder in
                try transform.write(to: folder.appending(path: "t.txt").path)
                return try String(contentsOf: folder.appending(path: "t.txt"), encoding: .utf8)
            }
            try #require(text.hasPrefix("#Insight Transform File V1.0\n"))
            let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("Parameters:") })
            let m = line.split(separator: " ").dropFirst().compactMap { Double($0) }
            try #require(m.count == 12 && text.contains("\nFixedParameters: 0 0 0\n"))
            let moving = SIMD3<Double>.point(using: &random)
            let fixed = transform(moving)
            let lps = [-fixed.x, -fixed.y, fixed.z]
            let image = (0..<3).map {
                m[3 * $0] * lps[0] + m[3 * $0 + 1] * lps[1] + m[3 * $0 + 2] * lps[2] + m[9 + $0]
            }
            try #require((SIMD3(-image[0], -image[1], image[2]) - moving).norm < 1e-9)
            try #require(
                Self.read(text).affine.largestDifference(from: transform.affine) < 1e-9)
        }
    }

    @Test func jsonIsTheMatrix() throws {
        let transform = RigidTransform(degrees: [0, 0, 90], millimetres: [1, 2, 3])
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "t.json")
            try transform.write(to: file)
            let found = try JSONDecoder().decode([String: [[Double]]].self, from: Data(contentsOf: file))
            let expected: [[Double]] = [[0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]]
            let matrix = try #require(found["matrix"])
            for (row, expectedRow) in zip(matrix, expected) {
                for (value, expectedValue) in zip(row, expectedRow) {
                    #expect(abs(value - expectedValue) < 1e-12)
                }
            }
            let again = try RigidTransform(contentsOf: file.path)
            #expect(again.affine.largestDifference(from: transform.affine) < 1e-12)
        }
    }

    @Test(arguments: [
        ("t.json", "", "not valid JSON"),
        ("t.json", "{}", "matrix"),
        ("t.json", "{\"matrix\": [[1, 0, 0, 0]]}", "4 rows of 4 numbers"),
        (
            "t.json", "{\"matrix\": [[2, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}",
            "expected a rotation"
        ),
        ("t.tfm", "", "found no line Transform"),
        (
            "t.tfm", "Transform: Euler3DTransform_double_3_3\nParameters: 1 2\nFixedParameters: 0 0 0",
            "6 finite numbers"
        ),
        (
            "t.tfm", "Transform: BSplineTransform_double_3_3\nParameters: 1\nFixedParameters: 0 0 0",
            "BSplineTransform"
        ),
        (
            "t.tfm",
            """
            Transform: AffineTransform_double_3_3
            Parameters: 1.5 0 0 0 1 0 0 0 1 0 0 0
            FixedParameters: 0 0 0
            """, "expected a rotation"
        ),
        (
            "t.tfm",
            """
            Transform: CompositeTransform_double_3_3
            Transform: Euler3DTransform_double_3_3
            """, "more than one transform"
        ),
    ])
    func otherFilesAreRefused(name: String, text: String, reason: String) throws {
        let error = try #require(throws: RegistrationError.self) { try Self.read(text, name: name) }
        #expect(error.description.contains(reason), "\(error)")
        #expect(error.errorDescription == error.description)
    }

    @Test func missingFilesAndFoldersAreNamed() throws {
        let missing = try #require(throws: RegistrationError.self) {
            try RigidTransform(contentsOf: "/nowhere/t.tfm")
        }
        #expect(missing.description.contains("/nowhere/t.tfm"))
        for name in ["t.json", "t.tfm"] {
            let error = try #require(throws: RegistrationError.self) {
                try RigidTransform.identity.write(to: "/nowhere/\(name)")
            }
            #expect(error.description.contains("/nowhere/\(name)"))
        }
        try withTemporaryFolder { folder in
            let error = try #require(throws: RegistrationError.self) {
                try RigidTransform.identity.write(to: folder.appending(path: "t.mat"))
            }
            #expect(error.description.contains(".tfm"))
        }
    }
}
