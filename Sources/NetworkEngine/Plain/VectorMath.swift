/// `e^x` for x <= 0, within 1e-7 of the true value relatively; 0 below -87, where `Float` runs out of
/// normal numbers. NaN stays NaN.
///
/// `x = k ln 2 + r` with |r| <= ln 2 / 2, so `e^x = 2^k e^r`. ln 2 is taken off in two parts, the first so
/// short that its product with k is exact (Cody and Waite), and `e^r` is its Taylor polynomial to r^7, whose
/// remainder is below 6e-9. The last addition, `1 + (r + ...)`, is then the only rounding that matters.
@inline(__always)
func exponentialOfNonPositive(_ x: SIMD8<Float>) -> SIMD8<Float> {
    let shifter: Float = 12_582_912  // 1.5 * 2^23: adding it rounds to a whole number in the low bits
    let shifted = x * 1.442_695_04 + shifter
    let k = shifted - shifter
    let r = (x - k * 0.693_359_375) - k * -2.121_944_4e-4
    var polynomial = r * (1 / 5040) + (1 / 720)
    polynomial = polynomial * r + (1 / 120)
    polynomial = polynomial * r + (1 / 24)
    polynomial = polynomial * r + (1 / 6)
    polynomial = polynomial * r + 0.5
    let fraction = 1 + (r + r * r * polynomial)
    let exponent = SIMD8<Int32>(truncatingIfNeeded: unsafeBitCast(shifted, to: SIMD8<Int32>.self)) &+ 127
    let power = unsafeBitCast(exponent &<< 23, to: SIMD8<Float>.self)
    return (fraction * power).replacing(with: 0, where: x .< -87)
}

extension UnsafeMutableBufferPointer<Float> {
    /// Replaces each number by `transform` of it, eight at a time; the last few share one partly filled vector.
    @inline(__always)
    func transformInPlace(_ transform: (SIMD8<Float>) -> SIMD8<Float>) {
        guard let base = baseAddress else { return }
        let raw = UnsafeMutableRawPointer(base)
        let whole = count - count % 8
        for index in stride(from: 0, to: whole, by: 8) {
            let value = raw.loadUnaligned(fromByteOffset: index * 4, as: SIMD8<Float>.self)
            raw.storeBytes(of: transform(value), toByteOffset: index * 4, as: SIMD8<Float>.self)
        }
        guard whole < count else { return }
        var last = SIMD8<Float>.zero
        for index in whole..<count { last[index - whole] = self[index] }
        last = transform(last)
        for index in whole..<count { self[index] = last[index - whole] }
    }
}

extension UnsafeBufferPointer<Float> {
    /// The sum of `transform` of each number: eight partial sums of 1024 numbers at most, each then added up
    /// in double precision, so that the error does not grow with the count.
    @inline(__always)
    func sum(_ transform: (SIMD8<Float>) -> SIMD8<Float>) -> Double {
        guard let base = baseAddress else { return 0 }
        let raw = UnsafeRawPointer(base)
        let whole = count - count % 8
        var total = 0.0
        for block in stride(from: 0, to: whole, by: 1024) {
            var partial = SIMD8<Float>.zero
            for index in stride(from: block, to: Swift.min(block + 1024, whole), by: 8) {
                partial += transform(raw.loadUnaligned(fromByteOffset: index * 4, as: SIMD8<Float>.self))
            }
            total += Double(partial.sum())
        }
        for index in whole..<count { total += Double(transform(SIMD8<Float>(repeating: self[index]))[0]) }
        return total
    }
}
