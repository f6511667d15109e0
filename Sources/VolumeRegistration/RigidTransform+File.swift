public import Foundation
import Volumes
import VoxelSupport

/// The JSON form is `{"matrix": [[r, r, r, t], [r, r, r, t], [r, r, r, t], [0, 0, 0, 1]]}`, in millimetres (RAS+).
extension RigidTransform: Codable {
    private enum CodingKeys: CodingKey { case matrix }

    /// Decodes a transform.
    ///
    /// - Throws: `DecodingError` unless the matrix is 4 x 4 and rigid to three decimals.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let rows = try container.decode([[Double]].self, forKey: .matrix)
        func error(_ text: String) -> DecodingError {
            .dataCorruptedError(forKey: .matrix, in: container, debugDescription: text)
        }
        guard rows.count == 4, rows.allSatisfy({ $0.count == 4 }), rows[3] == [0, 0, 0, 1] else {
            throw error("expected 4 rows of 4 numbers, the last 0, 0, 0, 1")
        }
        let affine = Affine(rows: .init(rows[0]), .init(rows[1]), .init(rows[2]))
        guard let transform = RigidTransform(affine) else { throw error(Self.notRigid) }
        self = transform
    }

    /// Encodes the transform.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        let rows = affine.rows.map { row in (0..<4).map { row[$0] } }
        try container.encode(rows + [[0, 0, 0, 1]], forKey: .matrix)
    }

    fileprivate static let notRigid =
        "the matrix scales, shears or mirrors; expected a rotation, which has orthogonal columns of length 1"
}

extension RigidTransform {
    /// The file extensions of transforms.
    public static let fileExtensions = [".json", ".txt", ".tfm"]

    /// Reads a transform that maps the moving volume to the fixed one: from JSON (`.json`) or from ITK's text format
    /// (`.txt`, `.tfm`).
    ///
    /// ITK's file holds the inverse: it maps points of the fixed image to points of the moving image, in LPS coordinates.
    /// Its transforms `AffineTransform` and `MatrixOffsetTransformBase` (if rigid), `Euler3DTransform` and
    /// `VersorRigid3DTransform` are read.
    ///
    /// - Throws: ``RegistrationError/unreadable(file:reason:)``.
    public init(contentsOf url: URL) throws(RegistrationError) {
        do {
            if url.pathExtension.lowercased() == "json" {
                self = try JSONValue(contentsOf: url).decode(RigidTransform.self)
            } else {
                let text = String(decoding: try Data(contentsOf: url, atMost: 1 << 24), as: UTF8.self)
                self = try ITKTransform(text).pointMap.inverse
            }
        } catch {
            throw .unreadable(file: url, reason: error.explanation)
        }
    }

    /// Reads the transform at a path; see ``init(contentsOf:)-(URL)``.
    ///
    /// - Throws: ``RegistrationError/unreadable(file:reason:)``.
    public init(contentsOf path: String) throws(RegistrationError) {
        try self.init(contentsOf: URL(filePath: path))
    }

    /// Writes the transform as JSON (`.json`) or in ITK's text format (`.txt`, `.tfm`).
    ///
    /// With ITK's file, `antsApplyTransforms -i moving -r fixed -t file` and ITK's resampling filters resample the moving
    /// image onto the fixed one.
    ///
    /// - Throws: ``RegistrationError/unwritable(file:reason:)``.
    public func write(to url: URL) throws(RegistrationError) {
        do {
            switch url.pathExtension.lowercased() {
            case "json": try AtomicFile.write(sortedJSON(prettyPrinted: true) + Data("\n".utf8), to: url)
            case "txt", "tfm":
                try AtomicFile.write(Data(ITKTransform.text(ofPointMap: inverse).utf8), to: url)
            default: throw ITKTransform.Problem("expected a name that ends in .json, .txt or .tfm")
            }
        } catch {
            throw .unwritable(file: url, reason: error.explanation)
        }
    }

    /// Writes the transform to the file at a path; see ``write(to:)-(URL)``.
    ///
    /// - Throws: ``RegistrationError/unwritable(file:reason:)``.
    public func write(to path: String) throws(RegistrationError) { try write(to: URL(filePath: path)) }
}

/// A file of ITK's text format, "Insight Transform File V1.0".
private struct ITKTransform {
    /// What is wrong with a file.
    struct Problem: LocalizedError, CustomStringConvertible {
        let description: String
        var errorDescription: String? { description }
        init(_ description: String) { self.description = description }
    }

    /// The transforms that are read.
    private static let kinds = [
        "AffineTransform", "MatrixOffsetTransformBase", "Euler3DTransform", "VersorRigid3DTransform",
    ]

    /// The map of points that it holds, in RAS+ millimetres.
    let pointMap: RigidTransform

    init(_ text: String) throws {
        var fields: [String: String] = [:]
        for line in text.split(whereSeparator: \.isNewline) where line.first != "#" {
            let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            guard parts.count == 2 else { continue }
            guard fields.updateValue(parts[1], forKey: parts[0]) == nil else {
                throw Problem("found more than one transform; expected one")
            }
        }
        func numbers(_ name: String, _ counts: ClosedRange<Int>) throws -> [Double] {
            guard let field = fields[name] else {
                throw Problem("found no line \(name); expected ITK's text format")
            }
            let words = field.split(separator: " ")
            let values = words.compactMap { Double($0) }
            guard values.count == words.count, counts.contains(values.count), values.allSatisfy(\.isFinite)
            else {
                throw Problem("found \(name) \(field.prefix(80)); expected \(counts.upperBound) finite numbers")
            }
            return values
        }
        guard let name = fields["Transform"] else {
            throw Problem("found no line Transform; expected ITK's text format")
        }
        let kind = String(name.prefix { $0 != "_" })
        guard Self.kinds.contains(kind) else {
            throw Problem("found a transform \(kind); expected one of \(Self.kinds.joined(separator: ", "))")
        }
        let fixed = try numbers("FixedParameters", 3...4)
        func turn(_ axis: Int, _ radians: Double) -> RigidTransform {
            var vector = SIMD3<Double>.zero
            vector[axis] = radians
            return RigidTransform(radians: vector, millimetres: .zero, about: .zero)
        }
        let (matrix, shift): (Affine, ArraySlice<Double>)
        switch kind {
        case "Euler3DTransform":
            let p = try numbers("Parameters", 6...6)
            let (x, y, z) = (turn(0, p[0]), turn(1, p[1]), turn(2, p[2]))
            let isZYX = fixed.count == 4 && fixed[3] != 0
            matrix = (isZYX ? z.after(y).after(x) : z.after(x).after(y)).affine
            shift = p[3...]
        case "VersorRigid3DTransform":
            let p = try numbers("Parameters", 6...6)
            let sine = min(1, (p[0] * p[0] + p[1] * p[1] + p[2] * p[2]).squareRoot())
            let scale = sine > 0 ? 2 * asin(sine) / sine : 0
            matrix =
                RigidTransform(
                    radians: SIMD3(p[0], p[1], p[2]) * scale, millimetres: .zero, about: .zero
                ).affine
            shift = p[3...]
        default:
            let p = try numbers("Parameters", 12...12)
            matrix = Affine(rows: [p[0], p[1], p[2], 0], [p[3], p[4], p[5], 0], [p[6], p[7], p[8], 0])
            shift = p[9...]
        }
        // y = M (x - c) + c + t
        let centre = SIMD3(fixed[0], fixed[1], fixed[2])
        var map = matrix
        map.translation = centre + SIMD3(shift) - matrix(centre)
        guard let rigid = RigidTransform(map.flippedBetweenLPSAndRAS) else {
            throw Problem(RigidTransform.notRigid)
        }
        pointMap = rigid
    }

    static func text(ofPointMap map: RigidTransform) -> String {
        let rows = map.affine.flippedBetweenLPSAndRAS.rows
        let matrix = rows.flatMap { [$0.x, $0.y, $0.z] } + rows.map(\.w)
        return """
            #Insight Transform File V1.0
            #Transform 0
            Transform: AffineTransform_double_3_3
            Parameters: \(matrix.map { "\($0)" }.joined(separator: " "))
            FixedParameters: 0 0 0

            """
    }
}

extension Affine {
    /// The same map of the world where x and y have changed their signs.
    fileprivate var flippedBetweenLPSAndRAS: Affine {
        let r = rows
        return Affine(
            rows: r[0] * [1, 1, -1, -1], r[1] * [1, 1, -1, -1], r[2] * [-1, -1, 1, 1])
    }
}
