import Foundation
import Volumes
import VoxelSupport

/// Standard normal noise that is a pure function of a seed, a timestep, a slice, a row and a column.
///
/// The same voxel at the same timestep gets the same noise in any batch, on any thread, in any run.
public struct NoiseField: Hashable, Codable, Sendable {
    /// How the noise of neighbouring slices goes together. Each voxel's noise is standard normal in every case.
    public enum SliceCorrelation: Hashable, Codable, Sendable {
        /// Slices know nothing of one another.
        case independent
        /// All slices have the same noise.
        case shared
        /// Slices d apart correlate as exp(-d² / (2 length²)), with `length` in slices, above zero: within 0.02
        /// of it for lengths from 1. Below that slices are too coarse for it, and neighbours correlate less.
        case smooth(length: Double)
    }

    /// Which of 2^64 fields.
    public var seed: UInt64

    /// How the noise of neighbouring slices goes together.
    public var correlation: SliceCorrelation

    /// A field of noise.
    public init(seed: UInt64 = 0, correlation: SliceCorrelation = .independent) {
        (self.seed, self.correlation) = (seed, correlation)
    }

    /// The noise of one slice, row by row.
    ///
    /// - Parameters:
    ///   - index: the slice's place in the volume; it may be negative.
    ///   - rows: number of rows of the slice.
    ///   - columns: number of columns of the slice.
    ///   - timestep: t.
    /// - Complexity: O(rows * columns), times about 5 lengths for smooth noise.
    public func slice(_ index: Int, rows: Int, columns: Int, timestep: Int) -> [Float] {
        var noise = [Float](repeating: 0, count: rows * columns)
        for (offset, weight) in weights {
            add(
                weight, slice: (correlation == .shared ? 0 : index) + offset, rows, columns, timestep,
                to: &noise)
        }
        return noise
    }

    /// The slices of independent noise that one slice is the sum of, by their distance, and their weights, whose
    /// squares sum to one.
    private var weights: [(offset: Int, weight: Float)] {
        guard case .smooth(let length) = correlation else { return [(0, 1)] }
        precondition(length > 0 && length.isFinite, "the length of a correlation must be above zero")
        // Sums of Gaussian weights of deviation length / sqrt(2) correlate with deviation `length`.
        let reach = Int((2.5 * length).rounded(.up))
        let gaussian = (-reach...reach).map { exp(-Double($0 * $0) / (length * length)) }
        let norm = gaussian.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return zip(-reach...reach, gaussian).map { ($0, Float($1 / norm)) }
    }

    private func add(
        _ weight: Float, slice: Int, _ rows: Int, _ columns: Int, _ timestep: Int, to noise: inout [Float]
    ) {
        let (z, t) = (UInt32(truncatingIfNeeded: slice), UInt32(truncatingIfNeeded: timestep))
        noise.withUnsafeMutableBufferPointer { noise in
            for row in 0..<rows {
                // One block of random bits makes the noise of four columns.
                for first in stride(from: 0, to: columns, by: 4) {
                    let counter = SIMD4(
                        UInt32(truncatingIfNeeded: first / 4), UInt32(truncatingIfNeeded: row), z, t)
                    let normals = Philox4x32.normals(counter: counter, seed: seed)
                    for lane in 0..<min(4, columns - first) {
                        noise[row * columns + first + lane] += weight * normals[lane]
                    }
                }
            }
        }
    }
}
