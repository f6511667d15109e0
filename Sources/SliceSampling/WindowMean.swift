import BridgeDiffusion
import DiffusionSampling

/// The estimate of x_0 for each slice: the weighted mean of the windows' estimates.
///
/// Each estimate moves the mean of those before it by its share of the weight so far. If all estimates are equal, the
/// mean is bit-identical to them, and the order in which they are added decides every bit of the rest.
struct WindowMean {
    /// The mean for each slice, once all windows have been added.
    private(set) var estimate: SliceStack

    private let noisy: SliceStack
    private let source: SliceStack
    /// The estimate of x_0 from x_t, a window's prediction and y.
    private let weights: PathCombination
    private let clip: ClosedRange<Float>?
    /// The weight of each position in a window.
    private let positions: [Float]
    /// For each slice, the weight that it receives from all windows together.
    private let totals: [Float]
    /// For each slice, the weight that it has received so far.
    private var received: [Float]

    var shape: SliceLayout { estimate.shape }

    /// - Parameter aggregation: `nil` where windows share no slice: every estimate is then taken as it is.
    init(
        noisy: SliceStack, source: SliceStack, aggregation: (any SliceAggregation)?, weights: PathCombination,
        clip: ClosedRange<Float>?
    ) {
        let layout = noisy.shape
        let positions = (aggregation ?? .mean).weights(radius: layout.radius)
        precondition(
            positions.count == layout.slicesPerWindow && positions.allSatisfy { $0 >= 0 && $0.isFinite }
                && positions.contains { $0 > 0 },
            "an aggregation needs 2N+1 weights, none negative and not all zero")
        var totals = [Float](repeating: 0, count: layout.slices)
        for window in 0..<layout.windows {
            for (position, weight) in positions.enumerated() {
                totals[layout.slice(window: window, position: position)] += weight
            }
        }
        (self.noisy, self.source, self.weights, self.clip) = (noisy, source, weights, clip)
        (self.positions, self.totals) = (positions, totals)
        received = [Float](repeating: 0, count: layout.slices)
        estimate = SliceStack(restoring: [Float](repeating: 0, count: layout.count), as: layout)!
    }

    /// Adds one window's predictions.
    ///
    /// - Returns: the first position in the window whose prediction holds NaN or infinity, if any does.
    mutating func add(_ prediction: ArraySlice<Float>, window: Int) -> Int? {
        let length = shape.voxelsPerSlice
        return (0..<shape.slicesPerWindow).first { position in
            let start = prediction.startIndex + position * length
            return prediction[start..<start + length].withUnsafeBufferPointer { values in
                !add(values, of: weights, window: window, position: position)
            }
        }
    }

    /// Adds the estimates of a window whose source is background: the source itself.
    mutating func addBackground(window: Int) {
        for position in 0..<shape.slicesPerWindow {
            source.values[source.shape.voxels(ofSlice: window + position)].withUnsafeBufferPointer {
                _ = add($0, of: PathCombination(target: 1), window: window, position: position)
            }
        }
    }

    /// Adds a slice of a window.
    ///
    /// - Returns: whether no value is NaN or infinite.
    private mutating func add(
        _ values: UnsafeBufferPointer<Float>, of weights: PathCombination, window: Int, position: Int
    ) -> Bool {
        let slice = shape.slice(window: window, position: position)
        let weight = weight(window: window, position: position, slice: slice)
        guard weight > 0 else { return allFinite(values) }
        received[slice] += weight
        let share = weight / received[slice]
        let start = shape.voxels(ofSlice: slice).lowerBound
        let sourceStart = source.shape.voxels(ofSlice: window + position).lowerBound
        let (x, v, y) = (Float(weights.noisy), Float(weights.target), Float(weights.source))
        let (low, high) = (clip?.lowerBound ?? -.infinity, clip?.upperBound ?? .infinity)
        return estimate.values.withUnsafeMutableBufferPointer { means in
            noisy.values.withUnsafeBufferPointer { noisy in
                source.values.withUnsafeBufferPointer { source in
                    let means = means.baseAddress! + start
                    let (noisy, source) = (noisy.baseAddress! + start, source.baseAddress! + sourceStart)
                    let prediction = values.baseAddress!
                    // All exponent bits are set in NaN and infinity alone. A sum of whole numbers, other than one of
                    // floats, may be taken in any order, so the loop stays one of vectors.
                    var special: UInt32 = 0
                    for index in 0..<values.count {
                        let value = prediction[index]
                        special |= (value.bitPattern & 0x7F80_0000) &+ 0x0080_0000
                        let sum = x * noisy[index] + v * value + y * source[index]
                        let raised = sum < low ? low : sum
                        let estimate = raised > high ? high : raised
                        means[index] += share * (estimate - means[index])
                    }
                    return special & 0x8000_0000 == 0
                }
            }
        }
    }

    private func weight(window: Int, position: Int, slice: Int) -> Float {
        if totals[slice] > 0 { return positions[position] }
        let nearest = min(max(slice - shape.radius, 0), shape.windows - 1)
        return window == nearest ? 1 : 0
    }
}
