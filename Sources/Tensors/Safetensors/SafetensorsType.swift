/// The types of number that are read, named as in the header.
enum SafetensorsType: String, CaseIterable {
    case f64 = "F64"
    case f32 = "F32"
    case f16 = "F16"
    case bf16 = "BF16"
    case i64 = "I64"
    case i32 = "I32"
    case u8 = "U8"
    case bool = "BOOL"

    /// Bytes of one number.
    var size: Int {
        switch self {
        case .f64, .i64: 8
        case .f32, .i32: 4
        case .f16, .bf16: 2
        case .u8, .bool: 1
        }
    }

    /// Converts the numbers in `bytes`, little-endian and perhaps unaligned, to `Float`.
    func decode(_ bytes: UnsafeRawBufferPointer, into values: UnsafeMutableBufferPointer<Float>) {
        switch self {
        case .f64:
            Self.convert(bytes, into: values) { (bits: UInt64) in Float(Double(bitPattern: bits)) }
        case .f32: Self.convert(bytes, into: values) { (bits: UInt32) in Float(bitPattern: bits) }
        case .f16: Self.convert(bytes, into: values, Self.float(half:))
        case .bf16:
            Self.convert(bytes, into: values) { (bits: UInt16) in Float(bitPattern: UInt32(bits) << 16) }
        case .i64: Self.convert(bytes, into: values) { (bits: UInt64) in Float(Int64(bitPattern: bits)) }
        case .i32: Self.convert(bytes, into: values) { (bits: UInt32) in Float(Int32(bitPattern: bits)) }
        case .u8: Self.convert(bytes, into: values) { (bits: UInt8) in Float(bits) }
        case .bool: Self.convert(bytes, into: values) { (bits: UInt8) in bits == 0 ? 0 : 1 }
        }
    }

    @inline(__always)
    private static func convert<Bits: FixedWidthInteger & BitwiseCopyable>(
        _ bytes: UnsafeRawBufferPointer, into values: UnsafeMutableBufferPointer<Float>,
        _ number: (Bits) -> Float
    ) {
        for index in 0..<values.count {
            let bits = bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<Bits>.size, as: Bits.self)
            values[index] = number(Bits(littleEndian: bits))
        }
    }

    /// The value of an IEEE 754 binary16: 1 sign bit, 5 of exponent with bias 15, 10 of fraction.
    ///
    /// Its exponent and fraction, moved to the place they have in a `Float`, read 2^-112 times too small (the
    /// difference of the biases, 127 - 15), subnormal numbers too. `Float16` itself is not on every platform.
    private static func float(half bits: UInt16) -> Float {
        let sign = UInt32(bits & 0x8000) << 16
        let magnitude = UInt32(bits & 0x7FFF) << 13
        guard bits & 0x7C00 != 0x7C00 else { return Float(bitPattern: sign | 0x7F80_0000 | magnitude) }
        return Float(bitPattern: sign | (Float(bitPattern: magnitude) * 0x1p112).bitPattern)
    }
}
