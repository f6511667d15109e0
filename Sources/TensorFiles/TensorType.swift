/// The types of number that are read from files, named as the safetensors format names them.
public enum TensorType: String, CaseIterable, Sendable {
    /// IEEE 754 binary64.
    case f64 = "F64"
    /// IEEE 754 binary32.
    case f32 = "F32"
    /// IEEE 754 binary16.
    case f16 = "F16"
    /// The upper half of a binary32.
    case bf16 = "BF16"
    /// Signed, of 64 bits.
    case i64 = "I64"
    /// Signed, of 32 bits.
    case i32 = "I32"
    /// Signed, of 16 bits.
    case i16 = "I16"
    /// Signed, of 8 bits.
    case i8 = "I8"
    /// Unsigned, of 8 bits.
    case u8 = "U8"
    /// A byte that is zero or not.
    case bool = "BOOL"

    /// Bytes of one number.
    public var size: Int {
        switch self {
        case .f64, .i64: 8
        case .f32, .i32: 4
        case .f16, .bf16, .i16: 2
        case .i8, .u8, .bool: 1
        }
    }

    /// Whether the numbers are floating-point ones, as a network's parameters are.
    public var isFloatingPoint: Bool {
        switch self {
        case .f64, .f32, .f16, .bf16: true
        case .i64, .i32, .i16, .i8, .u8, .bool: false
        }
    }
}

extension TensorType {
    /// Converts to `Float` as many numbers as `values` holds, every `stride`-th of those in `bytes`, which are
    /// little-endian and perhaps unaligned.
    package func decode(
        _ bytes: UnsafeRawBufferPointer, stride: Int, into values: UnsafeMutableBufferPointer<Float>
    ) {
        switch self {
        case .f64:
            Self.convert(bytes, stride, into: values) { (bits: UInt64) in Float(Double(bitPattern: bits)) }
        case .f32: Self.convert(bytes, stride, into: values) { (bits: UInt32) in Float(bitPattern: bits) }
        case .f16: Self.convert(bytes, stride, into: values, Float.init(half:))
        case .bf16:
            Self.convert(bytes, stride, into: values) { (bits: UInt16) in Float(bitPattern: UInt32(bits) << 16)
            }
        case .i64: Self.convert(bytes, stride, into: values) { (bits: Int64) in Float(bits) }
        case .i32: Self.convert(bytes, stride, into: values) { (bits: Int32) in Float(bits) }
        case .i16: Self.convert(bytes, stride, into: values) { (bits: Int16) in Float(bits) }
        case .i8: Self.convert(bytes, stride, into: values) { (bits: Int8) in Float(bits) }
        case .u8: Self.convert(bytes, stride, into: values) { (bits: UInt8) in Float(bits) }
        case .bool: Self.convert(bytes, stride, into: values) { (bits: UInt8) in bits == 0 ? 0 : 1 }
        }
    }

    @inline(__always)
    private static func convert<Bits: FixedWidthInteger & BitwiseCopyable>(
        _ bytes: UnsafeRawBufferPointer, _ stride: Int, into values: UnsafeMutableBufferPointer<Float>,
        _ number: (Bits) -> Float
    ) {
        func convert(step: Int) {
            for index in 0..<values.count {
                let bits = bytes.loadUnaligned(fromByteOffset: index * step, as: Bits.self)
                values[index] = number(Bits(littleEndian: bits))
            }
        }
        // With a constant step, the compiler converts several contiguous numbers at a time.
        let size = MemoryLayout<Bits>.size
        if stride == 1 { convert(step: size) } else { convert(step: stride * size) }
    }

    /// The little-endian bytes of numbers, rounded to nearest, ties to even; nil where a finite number lies beyond the
    /// type's range, or one for whole numbers is not finite.
    ///
    /// - Precondition: the type is F32, F16, BF16, I64 or I32.
    package func encode(_ values: [Float]) -> [UInt8]? {
        var isEncoded = true
        let bytes = [UInt8](unsafeUninitializedCapacity: values.count * size) { buffer, count in
            isEncoded = encode(values, into: UnsafeMutableRawBufferPointer(buffer))
            count = isEncoded ? values.count * size : 0
        }
        return isEncoded ? bytes : nil
    }

    /// Writes the little-endian bytes of numbers to the front of `bytes`.
    ///
    /// - Returns: whether all of them could be represented; if not, nothing is written. See ``encode(_:)``.
    package func encode(_ values: [Float], into bytes: UnsafeMutableRawBufferPointer) -> Bool {
        switch self {
        case .f32: Self.store(values, in: bytes) { $0.bitPattern }
        case .f16:
            guard values.allSatisfy({ abs($0) < 65520 || !$0.isFinite }) else { return false }
            Self.store(values, in: bytes) { $0.half }
        case .bf16:
            guard values.allSatisfy({ abs($0) < 0x1.FFp127 || !$0.isFinite }) else { return false }
            Self.store(values, in: bytes) { $0.brain }
        case .i64:
            guard values.allSatisfy({ abs($0) < 0x1p63 }) else { return false }
            Self.store(values, in: bytes) { Int64($0.rounded(.toNearestOrEven)) }
        case .i32:
            guard values.allSatisfy({ abs($0) < 0x1p31 }) else { return false }
            Self.store(values, in: bytes) { Int32($0.rounded(.toNearestOrEven)) }
        case .f64, .i16, .i8, .u8, .bool: preconditionFailure("\(rawValue) is not written")
        }
        return true
    }

    @inline(__always)
    private static func store<Bits: FixedWidthInteger & BitwiseCopyable>(
        _ values: [Float], in bytes: UnsafeMutableRawBufferPointer, _ bits: (Float) -> Bits
    ) {
        let size = MemoryLayout<Bits>.size
        precondition(values.count * size <= bytes.count, "too little room for the numbers")
        values.withUnsafeBufferPointer { values in
            for index in 0..<values.count {
                bytes.storeBytes(
                    of: bits(values[index]).littleEndian, toByteOffset: index * size, as: Bits.self)
            }
        }
    }
}

/// `Float16` itself is not on every platform.
extension Float {
    /// The value of an IEEE 754 binary16: 1 sign bit, 5 of exponent with bias 15, 10 of fraction.
    ///
    /// Its exponent and fraction, moved to the place they have in a `Float`, read 2^-112 times too small (the
    /// difference of the biases, 127 - 15), subnormal numbers too.
    fileprivate init(half bits: UInt16) {
        let sign = UInt32(bits & 0x8000) << 16
        let magnitude = UInt32(bits & 0x7FFF) << 13
        guard bits & 0x7C00 != 0x7C00 else {
            self.init(bitPattern: sign | 0x7F80_0000 | magnitude)
            return
        }
        self.init(bitPattern: sign | (Float(bitPattern: magnitude) * 0x1p112).bitPattern)
    }

    /// The nearest binary16, ties to even; infinite from 65520 on.
    fileprivate var half: UInt16 {
        let sign = UInt16(bitPattern >> 16) & 0x8000
        switch magnitude {
        case 65520...: return sign | 0x7C00
        // Normal numbers: the carry of the rounding runs on into the exponent as it should.
        case 0x1p-14...:
            let bits = magnitude.bitPattern - (112 << 23)
            return sign | UInt16((bits + 0xFFF + (bits >> 13 & 1)) >> 13)
        // Subnormal ones are multiples of 2^-24.
        case 0...: return sign | UInt16((magnitude * 0x1p24).rounded(.toNearestOrEven))
        default: return sign | 0x7E00
        }
    }

    /// The nearest number whose lower 16 bits are zero, ties to even, without them.
    fileprivate var brain: UInt16 {
        guard !isNaN else { return UInt16(bitPattern >> 16) | 0x40 }
        return UInt16((UInt64(bitPattern) + 0x7FFF + UInt64(bitPattern >> 16 & 1)) >> 16)
    }
}
