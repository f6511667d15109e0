public import DiffusionSampling

/// A tensor can be sampled: a latent `[batch, channels, spatial...]`, each item of the batch a group.
extension Tensor: ArraySampleStorage {
    /// A tensor of values, or `nil` where the shape is empty, has an extent below 1, or does not have that many values.
    public init?(restoring values: [Float], as shape: [Int]) {
        var count = 1
        for extent in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: extent)
            guard extent > 0, !overflow else { return nil }
            count = product
        }
        guard !shape.isEmpty, count == values.count else { return nil }
        self.init(shape: shape, values: values)
    }

    /// Number of values in an item of the batch.
    public var groupSize: Int { values.count / shape[0] }

    /// Adds noise. A value's place in the field is its last axis (column), the one before (row), and all others (slice),
    /// the last of them fastest.
    public mutating func addNoise(_ field: NoiseField, timestep: Int, weight: Double) {
        let columns = shape.last ?? 1
        let rows = shape.dropLast().last ?? 1
        let (weight, length) = (Float(weight), rows * columns)
        for slice in 0..<values.count / length {
            let noise = field.slice(slice, rows: rows, columns: columns, timestep: timestep)
            values.withUnsafeMutableBufferPointer { values in
                for (index, value) in noise.enumerated() { values[slice * length + index] += weight * value }
            }
        }
    }
}
