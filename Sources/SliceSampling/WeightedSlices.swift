/// The weighted mean, slice by slice, of the windows' predictions.
///
/// Each prediction moves the mean of those before it by its share of the weight so far. Predictions that agree
/// so give themselves, to the bit, and the order in which they are added settles every bit of the rest.
struct WeightedSlices {
    /// The mean for each slice of the state, once all windows have been added.
    private(set) var voxels: [Float]

    private let layout: SliceLayout
    private let weights: [Float]
    /// For each slice of the state, the weight that it receives from all windows together.
    private let totals: [Float]
    /// For each slice of the state, the weight that it has received so far.
    private var received: [Float]

    /// - Parameter aggregation: `nil` where windows share no slice: every prediction is then taken as it is.
    init(layout: SliceLayout, aggregation: (any SliceAggregation)?) {
        self.layout = layout
        let weights = (aggregation ?? .mean).weights(radius: layout.radius)
        precondition(
            weights.count == layout.slicesPerWindow && weights.allSatisfy { $0 >= 0 && $0.isFinite }
                && weights.contains { $0 > 0 },
            "an aggregation needs 2N+1 weights, none negative and not all zero")
        var totals = [Float](repeating: 0, count: layout.stateSlices)
        for window in 0..<layout.windows {
            for (position, weight) in weights.enumerated() {
                totals[layout.stateSlice(window: window, position: position)] += weight
            }
        }
        self.weights = weights
        self.totals = totals
        received = [Float](repeating: 0, count: layout.stateSlices)
        voxels = [Float](repeating: 0, count: layout.stateSlices * layout.voxelsPerSlice)
    }

    /// Adds one window's predictions.
    ///
    /// - Returns: the first position in the window whose prediction holds NaN or infinity, if any does.
    mutating func add(_ prediction: ArraySlice<Float>, window: Int) -> Int? {
        let length = layout.voxelsPerSlice
        for position in 0..<layout.slicesPerWindow {
            let start = prediction.startIndex + position * length
            let values = prediction[start..<start + length]
            guard allFinite(values) else { return position }
            let slice = layout.stateSlice(window: window, position: position)
            add(values, weight: weight(window: window, position: position, slice: slice), slice: slice)
        }
        return nil
    }

    private mutating func add(_ values: ArraySlice<Float>, weight: Float, slice: Int) {
        guard weight > 0 else { return }
        received[slice] += weight
        let share = weight / received[slice]
        let start = layout.voxels(ofSlice: slice).lowerBound
        voxels.withUnsafeMutableBufferPointer { means in
            values.withUnsafeBufferPointer { values in
                for index in values.indices {
                    means[start + index] += share * (values[index] - means[start + index])
                }
            }
        }
    }

    private func weight(window: Int, position: Int, slice: Int) -> Float {
        if totals[slice] > 0 { return weights[position] }
        let nearest = min(max(slice - layout.radius, 0), layout.windows - 1)
        return window == nearest ? 1 : 0
    }
}

/// Whether no value is NaN or infinite: either of them times zero is NaN, and so is any sum with it.
private func allFinite(_ values: ArraySlice<Float>) -> Bool {
    values.withUnsafeBufferPointer { values in
        var lanes = SIMD16<Float>.zero
        let vectors = values.count / 16
        for start in stride(from: 0, to: vectors * 16, by: 16) {
            lanes +=
                UnsafeRawPointer(values.baseAddress! + start).loadUnaligned(as: SIMD16<Float>.self) * 0
        }
        return values[(vectors * 16)...].reduce(lanes.sum()) { $0 + $1 * 0 } == 0
    }
}
