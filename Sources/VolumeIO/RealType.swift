/// Intensity = slope x stored value + intercept, in 64-bit floats.
struct Scaling {
    let slope: Double
    let intercept: Double

    var isIdentity: Bool { slope == 1 && intercept == 0 }
}

/// The types of one real number a voxel, with their `DT_` codes.
enum RealType: Int16 {
    case uint8 = 2
    case int16 = 4
    case int32 = 8
    case float32 = 16
    case float64 = 64
    case int8 = 256
    case uint16 = 512
    case uint32 = 768
    case int64 = 1024
    case uint64 = 1280

    var bytes: Int {
        switch self {
        case .uint8, .int8: 1
        case .int16, .uint16: 2
        case .int32, .uint32, .float32: 4
        case .int64, .uint64, .float64: 8
        }
    }

    /// Turns stored numbers into intensities and returns how many of them were not finite and became zero.
    func decode(
        _ stored: UnsafeRawBufferPointer, _ scaling: Scaling,
        into intensities: UnsafeMutableBufferPointer<Float>
    ) -> Int {
        switch self {
        case .uint8: scale(UInt8.self, stored, scaling, { Float($0) }, { Double($0) }, intensities)
        case .int8: scale(Int8.self, stored, scaling, { Float($0) }, { Double($0) }, intensities)
        case .uint16: scale(UInt16.self, stored, scaling, { Float($0) }, { Double($0) }, intensities)
        case .int16: scale(Int16.self, stored, scaling, { Float($0) }, { Double($0) }, intensities)
        case .uint32: scale(UInt32.self, stored, scaling, { Float($0) }, { Double($0) }, intensities)
        case .int32: scale(Int32.self, stored, scaling, { Float($0) }, { Double($0) }, intensities)
        case .uint64: scale(UInt64.self, stored, scaling, { Float($0) }, { Double($0) }, intensities)
        case .int64: scale(Int64.self, stored, scaling, { Float($0) }, { Double($0) }, intensities)
        case .float32: scale(Float.self, stored, scaling, { Float($0) }, { Double($0) }, intensities)
        case .float64: scale(Double.self, stored, scaling, { Float($0) }, { Double($0) }, intensities)
        }
    }
}

@inline(__always)
private func scale<Stored>(
    _: Stored.Type, _ bytes: UnsafeRawBufferPointer, _ scaling: Scaling, _ float: (Stored) -> Float,
    _ double: (Stored) -> Double, _ intensities: UnsafeMutableBufferPointer<Float>
) -> Int {
    let stored = bytes.assumingMemoryBound(to: Stored.self)
    if scaling.isIdentity {
        for i in stored.indices { intensities[i] = float(stored[i]) }
    } else {
        for i in stored.indices {
            intensities[i] = Float(double(stored[i]) * scaling.slope + scaling.intercept)
        }
    }
    var replaced = 0
    for i in stored.indices where !intensities[i].isFinite {
        intensities[i] = 0
        replaced += 1
    }
    return replaced
}
