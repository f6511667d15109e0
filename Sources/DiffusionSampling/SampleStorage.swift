/// What holds the images of a run: a stack of slices, a tensor, a buffer on a device.
///
/// Sampling is linear: a sampler moves x_t by weighted sums, adds noise, and measures residuals. A conformer does these
/// in place, wherever its values lie, so that a run needs no more memory than its images.
///
/// Values form groups of equal size, one after another: the slices of a stack, the items of a batch. A ``Corrector``
/// moves each group by a gain of its own.
///
/// A conformer that keeps its values in an array conforms to ``ArraySampleStorage`` and writes less.
///
/// ## Laws that a conformer keeps
/// - Equal operations on equal values give equal bits, on any thread and in any run.
/// - `Self(restoring: storage.values, as: storage.shape)` equals `storage`.
public protocol SampleStorage: Sendable {
    /// Describes the layout of the values, for saved states.
    associatedtype Shape: Codable & Equatable & Sendable

    /// The layout of the values.
    var shape: Shape { get }

    /// All values, for saved states and fingerprints. O(n); a device's storage copies them here.
    var values: [Float] { get }

    /// Storage of values, or `nil` where the shape cannot be or does not have that many values.
    init?(restoring values: [Float], as shape: Shape)

    /// Number of values in a group.
    var groupSize: Int { get }

    /// Sets the values to `weight` times themselves plus the weighted terms. O(n) for each pair of terms.
    mutating func combine(_ weight: Double, adding terms: [WeightedSample<Self>])

    /// Adds `weight` times the noise of a field at a timestep. O(n).
    mutating func addNoise(_ field: NoiseField, timestep: Int, weight: Double)

    /// Clamps every value to a range. O(n).
    mutating func clamp(to range: ClosedRange<Float>)

    /// The sum of squares of each group's values, summed in double precision. O(n).
    func squaredNorms() -> [Double]

    /// Adds each group of other storage, times the group's gain. O(n).
    mutating func add(_ other: Self, gains: [Double])

    /// Whether no value is NaN or infinite. O(n).
    var isFinite: Bool { get }
}

/// A term of a weighted sum.
public struct WeightedSample<Storage: SampleStorage>: Sendable {
    /// The weight.
    public let weight: Double

    /// What is weighted.
    public let storage: Storage

    /// A term.
    public init(_ weight: Double, _ storage: Storage) { (self.weight, self.storage) = (weight, storage) }
}

/// Storage whose values are an array of floats: all arithmetic follows.
///
/// ```swift
/// /// Numbers in a row, all in one group.
/// struct Row: ArraySampleStorage {
///     var values: [Float]
///     var shape: Int { values.count }
///     var groupSize: Int { values.count }
///
///     init?(restoring values: [Float], as shape: Int) {
///         guard values.count == shape else { return nil }
///         self.values = values
///     }
///
///     mutating func addNoise(_ field: NoiseField, timestep: Int, weight: Double) {
///         let noise = field.slice(0, rows: 1, columns: values.count, timestep: timestep)
///         for (index, value) in noise.enumerated() { values[index] += Float(weight) * value }
///     }
/// }
/// ```
public protocol ArraySampleStorage: SampleStorage {
    /// All values, group after group.
    var values: [Float] { get set }
}

extension ArraySampleStorage {
    /// The weighted sum, value by value; terms of weight zero are left out.
    ///
    /// - Precondition: all terms have as many values.
    public mutating func combine(_ weight: Double, adding terms: [WeightedSample<Self>]) {
        combineValues(weight, adding: terms)
    }

    /// The weighted sum of storage that is laid out alike.
    package mutating func combineValues(_ weight: Double, adding terms: [WeightedSample<Self>]) {
        let terms = terms.filter { $0.weight != 0 }
        precondition(terms.allSatisfy { $0.storage.values.count == values.count }, "the terms differ in size")
        var weight = Float(weight)
        if terms.isEmpty { values.withUnsafeMutableBufferPointer { for i in $0.indices { $0[i] *= weight } } }
        // Two terms at a time: each pass reads and writes the sum once.
        for first in stride(from: 0, to: terms.count, by: 2) {
            let (a, aWeight) = (terms[first].storage.values, Float(terms[first].weight))
            if first + 1 < terms.count {
                let (b, bWeight) = (terms[first + 1].storage.values, Float(terms[first + 1].weight))
                values.withUnsafeMutableBufferPointer { sum in
                    a.withUnsafeBufferPointer { a in
                        b.withUnsafeBufferPointer { b in
                            for i in sum.indices { sum[i] = weight * sum[i] + aWeight * a[i] + bWeight * b[i] }
                        }
                    }
                }
            } else {
                values.withUnsafeMutableBufferPointer { sum in
                    a.withUnsafeBufferPointer { a in
                        for i in sum.indices { sum[i] = weight * sum[i] + aWeight * a[i] }
                    }
                }
            }
            weight = 1
        }
    }

    /// Clamps every value.
    public mutating func clamp(to range: ClosedRange<Float>) {
        values.withUnsafeMutableBufferPointer { values in
            for i in values.indices { values[i] = min(max(values[i], range.lowerBound), range.upperBound) }
        }
    }

    /// The sums of squares, in an order of their own that is the same in every run.
    public func squaredNorms() -> [Double] {
        let size = groupSize
        return values.withUnsafeBufferPointer { values in
            stride(from: 0, to: values.count, by: size).map { start in
                // Eight sums side by side: one alone waits for each addition.
                var sums = SIMD8<Double>.zero
                let vectors = size / 8
                for vector in 0..<vectors {
                    let part = UnsafeRawPointer(values.baseAddress! + start + 8 * vector)
                        .loadUnaligned(as: SIMD8<Float>.self)
                    let wide = SIMD8<Double>(part)
                    sums += wide * wide
                }
                return values[start + 8 * vectors..<start + size]
                    .reduce(sums.sum()) { $0 + Double($1) * Double($1) }
            }
        }
    }

    /// Adds group by group; groups with a gain of zero stay as they are.
    public mutating func add(_ other: Self, gains: [Double]) {
        let size = groupSize
        values.withUnsafeMutableBufferPointer { sum in
            other.values.withUnsafeBufferPointer { other in
                for (group, gain) in gains.enumerated() where gain != 0 {
                    let gain = Float(gain)
                    for i in group * size..<(group + 1) * size { sum[i] += gain * other[i] }
                }
            }
        }
    }

    /// Whether no value is NaN or infinite.
    public var isFinite: Bool { values.withUnsafeBufferPointer(allFinite) }
}

/// Whether no value is NaN or infinite: either of them times zero is NaN, and so is any sum with it.
package func allFinite(_ values: UnsafeBufferPointer<Float>) -> Bool {
    var sums = SIMD16<Float>.zero
    let vectors = values.count / 16
    for vector in 0..<vectors {
        sums +=
            UnsafeRawPointer(values.baseAddress! + vector * 16).loadUnaligned(as: SIMD16<Float>.self) * 0
    }
    return values[(vectors * 16)...].reduce(sums.sum()) { $0 + $1 * 0 } == 0
}
