import VoxelSupport

/// The random numbers of one subject: pure functions of the cohort's seed, the subject, a purpose and an index.
struct SubjectRandom {
    /// The purpose of a number. Purposes have independent streams, so that a new one does not change the others.
    enum Purpose: UInt32 {
        case waves, pose, anatomy, style, acquisition, bias, sliceGain, sourceNoise, targetNoise
        case relaxation, lesions
    }

    let seed: UInt64
    let subject: Int
    /// The contrast whose numbers these are: each has streams of its own. T1 has those of the subject.
    var contrast = PhantomContrast.t1

    /// A uniform number from a range.
    func uniform(_ purpose: Purpose, _ index: Int, in range: ClosedRange<Double> = 0...1) -> Double {
        let bits = Philox4x32.block(counter: counter(purpose, index), key: Philox4x32.key(seed))
        return range.lowerBound + (range.upperBound - range.lowerBound) * (Double(bits[0]) * 0x1p-32)
    }

    /// A uniform point from a cube.
    func point(_ purpose: Purpose, _ index: Int, in range: ClosedRange<Double>) -> SIMD3<Double> {
        SIMD3(
            uniform(purpose, 3 * index, in: range), uniform(purpose, 3 * index + 1, in: range),
            uniform(purpose, 3 * index + 2, in: range))
    }

    /// A standard normal number.
    func normal(_ purpose: Purpose, _ index: Int) -> Double { Double(normals(purpose, index)[0]) }

    /// Four standard normal numbers.
    @inline(__always)
    func normals(_ purpose: Purpose, _ index: Int) -> SIMD4<Float> {
        Philox4x32.normals(counter: counter(purpose, index), seed: seed)
    }

    @inline(__always)
    private func counter(_ purpose: Purpose, _ index: Int) -> SIMD4<UInt32> {
        SIMD4(
            UInt32(truncatingIfNeeded: index), UInt32(truncatingIfNeeded: index >> 32),
            purpose.rawValue | contrast.stream << 16, UInt32(truncatingIfNeeded: subject))
    }
}

extension PhantomContrast {
    /// CT and T1 are drawn for purposes of their own.
    fileprivate var stream: UInt32 {
        switch self {
        case .ct, .t1: 0
        case .t2: 1
        case .flair: 2
        case .pd: 3
        }
    }
}
