/// The data types that hold one real number per voxel, by the codes of the standard.
public enum VoxelType: Int16, Sendable, CaseIterable {
    /// 0 to 255.
    case uint8 = 2
    /// -32768 to 32767.
    case int16 = 4
    /// -2^31 to 2^31 - 1.
    case int32 = 8
    /// IEEE single precision.
    case float32 = 16
    /// IEEE double precision.
    case float64 = 64
    /// -128 to 127.
    case int8 = 256
    /// 0 to 65535.
    case uint16 = 512
    /// 0 to 2^32 - 1.
    case uint32 = 768
    /// -2^63 to 2^63 - 1.
    case int64 = 1024
    /// 0 to 2^64 - 1.
    case uint64 = 1280

    /// Whether the type stores integers.
    public var isInteger: Bool { self != .float32 && self != .float64 }

    /// Size of one number.
    var bytes: Int {
        switch self {
        case .uint8, .int8: 1
        case .int16, .uint16: 2
        case .int32, .uint32, .float32: 4
        case .int64, .uint64, .float64: 8
        }
    }

    /// The smallest and the largest integer that `Double` and the type both hold.
    var limits: ClosedRange<Double> {
        switch self {
        case .uint8: 0...255
        case .int8: -128...127
        case .uint16: 0...65535
        case .int16: -32768...32767
        case .uint32: 0...4_294_967_295
        case .int32: -2_147_483_648...2_147_483_647
        case .uint64: 0...0x1p64.nextDown
        case .int64: -0x1p63...0x1p63.nextDown
        case .float32, .float64: -.infinity ... .infinity
        }
    }
}

/// Intensity = slope x stored number + intercept, in 64-bit floats.
struct Scaling: Hashable {
    var slope = 1.0
    var intercept = 0.0

    var isIdentity: Bool { slope == 1 && intercept == 0 }

    func callAsFunction(_ stored: Double) -> Double { stored * slope + intercept }
}

// MARK: Decoding

/// What decoding found in numbers as stored.
struct StoredRange {
    /// Number of voxels that are not finite as 32-bit floats.
    var notFinite = 0
    /// The least and the greatest finite number, of types with more digits than 32-bit floats.
    var low = Double.infinity
    var high = -Double.infinity
    /// Whether there are two numbers, which may be equal as 64-bit floats.
    var varies = false

    mutating func formUnion(_ other: StoredRange) {
        notFinite += other.notFinite
        varies = varies || other.varies || low <= high && other.low <= other.high && low != other.low
        (low, high) = (min(low, other.low), max(high, other.high))
    }
}

extension VoxelType {
    /// Converts stored numbers to intensities. Those that are not finite become NaN.
    ///
    /// `stored` and `intensities` may be the same memory if the type is `float32`.
    func decode(
        _ stored: UnsafeRawBufferPointer, _ scaling: Scaling,
        into intensities: UnsafeMutablePointer<Float>
    ) -> StoredRange {
        func decode<Stored>(
            _: Stored.Type, _ float: (Stored) -> Float, _ double: (Stored) -> Double
        ) -> StoredRange {
            let numbers = stored.assumingMemoryBound(to: Stored.self)
            var notFinite: UInt32 = 0
            if scaling.isIdentity {
                for i in numbers.indices {
                    intensities[i] = finite(float(numbers[i]), &notFinite)
                }
            } else {
                let (slope, intercept) = (scaling.slope, scaling.intercept)
                for i in numbers.indices {
                    intensities[i] = finite(
                        Float(double(numbers[i]) * slope + intercept), &notFinite)
                }
            }
            return StoredRange(notFinite: Int(notFinite))
        }
        /// Also finds the range of a type whose numbers may be equal as 32-bit floats.
        func decodeWide<Stored: Comparable>(
            _ type: Stored.Type, _ float: (Stored) -> Float, _ double: (Stored) -> Double
        ) -> StoredRange {
            var range = decode(type, float, double)
            let numbers = stored.assumingMemoryBound(to: Stored.self)
            guard var low = numbers.first(where: { double($0).isFinite }) else { return range }
            var high = low
            for number in numbers {
                low = number < low && double(number) > -.infinity ? number : low
                high = number > high && double(number) < .infinity ? number : high
            }
            (range.low, range.high, range.varies) = (double(low), double(high), low != high)
            return range
        }
        return switch self {
        case .uint8: decode(UInt8.self, { Float($0) }, { Double($0) })
        case .int8: decode(Int8.self, { Float($0) }, { Double($0) })
        case .uint16: decode(UInt16.self, { Float($0) }, { Double($0) })
        case .int16: decode(Int16.self, { Float($0) }, { Double($0) })
        case .uint32: decodeWide(UInt32.self, { Float($0) }, { Double($0) })
        case .int32: decodeWide(Int32.self, { Float($0) }, { Double($0) })
        case .uint64: decodeWide(UInt64.self, { Float($0) }, { Double($0) })
        case .int64: decodeWide(Int64.self, { Float($0) }, { Double($0) })
        case .float32: decode(Float.self, { $0 }, { Double($0) })
        case .float64: decodeWide(Double.self, { Float($0) }, { $0 })
        }
    }
}

/// The number, or NaN if it is infinite. Without a branch, so that a loop of it is vectorised.
@inline(__always)
private func finite(_ number: Float, _ count: inout UInt32) -> Float {
    let isFinite = number.bitPattern & 0x7F80_0000 != 0x7F80_0000
    count &+= isFinite ? 0 : 1
    return isFinite ? number : .nan
}

extension StoredRange {
    /// A warning if there are few 32-bit floats in the range of the numbers.
    func coarseness(as type: VoxelType, _ scaling: Scaling) -> VolumeIOWarning? {
        let ends = [scaling(low), scaling(high)]
        let (least, most) = (Float(ends.min()!), Float(ends.max()!))
        guard varies, least.isFinite, most.isFinite else { return nil }
        let step = max(abs(least), abs(most)).ulp
        let isExact = type.isInteger && Double(step) <= abs(scaling.slope)
        guard !isExact, Double(most - least) < 4096 * Double(step) else { return nil }
        return .coarse(dataType: "\(type)", low: ends.min()!, high: ends.max()!, step: Double(step))
    }
}

// MARK: Encoding

extension Scaling {
    /// The scaling with which a type stores intensities best: none if it holds them as they are; else its numbers are
    /// spread over their range. Slope and intercept are 32-bit floats, as in NIfTI-1.
    ///
    /// - Throws: `notFiniteAsInteger`.
    init(storing voxels: [Float], as type: VoxelType) throws(VolumeIOError.Reason) {
        self.init()
        guard type.isInteger else { return }
        var (low, high, areIntegers) = (Float.infinity, -Float.infinity, true)
        for voxel in voxels {
            low = min(low, voxel)
            high = max(high, voxel)
            areIntegers = areIntegers && voxel == voxel.rounded()
        }
        let notFinite = voxels.count { !$0.isFinite }
        guard notFinite == 0 else { throw .notFiniteAsInteger(count: notFinite, dataType: "\(type)") }
        let limits = type.limits
        if areIntegers, limits.contains(Double(low)), limits.contains(Double(high)) { return }
        self.init(from: low, to: high, as: type)
    }

    /// Spreads the numbers of a type over a range of intensities.
    init(from low: Float, to high: Float, as type: VoxelType) {
        self.init()
        // More than 2^32 steps would be finer than 64-bit floats resolve at the ends.
        let limits = type.limits
        let (first, last) = (max(limits.lowerBound, -0x1p31), min(limits.upperBound, 0x1p32))
        let exact = (Double(high) - Double(low)) / (last - first)
        var slope = Float(exact)
        if Double(slope) < exact { slope = slope.nextUp }
        self.slope = high > low ? Double(max(slope, .leastNormalMagnitude)) : 1
        intercept = Double(Float(Double(low) - (high > low ? first * self.slope : 0)))
    }
}

extension VoxelType {
    /// Stores intensities, clamped to what the type holds.
    func encode(_ voxels: ArraySlice<Float>, _ scaling: Scaling, into stored: UnsafeMutableRawPointer) {
        func encode<Stored>(_ type: Stored.Type, _ convert: (Double) -> Stored) {
            let numbers = stored.assumingMemoryBound(to: type)
            for (index, voxel) in voxels.enumerated() {
                numbers[index] = convert((Double(voxel) - scaling.intercept) / scaling.slope)
            }
        }
        func encodeInteger<Stored: FixedWidthInteger>(_ type: Stored.Type) {
            let limits = limits
            encode(type) { Stored(min(max($0.rounded(), limits.lowerBound), limits.upperBound)) }
        }
        switch self {
        case .uint8: encodeInteger(UInt8.self)
        case .int8: encodeInteger(Int8.self)
        case .uint16: encodeInteger(UInt16.self)
        case .int16: encodeInteger(Int16.self)
        case .uint32: encodeInteger(UInt32.self)
        case .int32: encodeInteger(Int32.self)
        case .uint64: encodeInteger(UInt64.self)
        case .int64: encodeInteger(Int64.self)
        case .float32: encode(Float.self) { Float($0) }
        case .float64: encode(Double.self) { $0 }
        }
    }
}
