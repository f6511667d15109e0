/// An orientation is encoded as its code, for example `"RAS"`.
extension Orientation: Codable {
    /// Decodes a code.
    ///
    /// - Throws: `DecodingError` unless the letters name each world axis once.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let code = try container.decode(String.self)
        guard let orientation = Orientation(code: code) else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription:
                    "'\(code)', which is not an orientation: one of R, L, one of A, P and one of S, I"
            )
        }
        self = orientation
    }

    /// Encodes the code.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// An affine is encoded as the top three rows of its matrix.
extension Affine: Codable {
    /// Decodes three rows of four numbers.
    public init(from decoder: any Decoder) throws {
        var rows = try decoder.unkeyedContainer()
        self.init(
            rows: try rows.decode(SIMD4<Double>.self), try rows.decode(SIMD4<Double>.self),
            try rows.decode(SIMD4<Double>.self))
    }

    /// Encodes three rows of four numbers.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.unkeyedContainer()
        for row in rows { try container.encode(row) }
    }
}

/// A grid is encoded as `{"shape": [x, y, z], "affine": [[...], [...], [...]]}`.
extension VoxelGrid: Codable {
    private enum CodingKeys: String, CodingKey { case shape, affine }

    /// Decodes a grid.
    ///
    /// - Throws: `DecodingError` if the shape is not that of a volume, or the affine is not invertible.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let shape = try container.decode(SIMD3<Int>.self, forKey: .shape)
        let count = SIMD3<Double>(shape)
        guard shape.min() > 0, count.x * count.y * count.z < 0x1p48 else {
            throw DecodingError.dataCorruptedError(
                forKey: .shape, in: container,
                debugDescription: "\(shape.text), which is not the shape of a volume")
        }
        let affine = try container.decode(Affine.self, forKey: .affine)
        guard affine.inverse != nil else {
            throw DecodingError.dataCorruptedError(
                forKey: .affine, in: container, debugDescription: "an affine that is not invertible")
        }
        self.init(shape: shape, affine: affine)
    }

    /// Encodes shape and affine.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(shape, forKey: .shape)
        try container.encode(affine, forKey: .affine)
    }
}
