public import DiffusionSampling
public import Volumes

/// A volume's slices in a plane, one after another, with N padding slices at each end.
///
/// Where windows share their slices the state x_t is one stack of P + 2N slices, for P slices of the volume, as the
/// source is. Where each window follows a trajectory of its own, it has 2N+1 slices for each window.
public struct SliceStack: ArraySampleStorage, Equatable {
    /// How the slices lie.
    public let shape: SliceLayout

    /// The voxels, columns fastest, then rows, then slices.
    public var values: [Float]

    /// A stack of voxels, or `nil` where there are not as many as the layout has.
    public init?(restoring values: [Float], as shape: SliceLayout) {
        guard shape.count == values.count else { return nil }
        (self.shape, self.values) = (shape, values)
    }

    /// The slices of a volume, extended by N slices at both ends.
    ///
    /// - Parameters:
    ///   - volume: the volume.
    ///   - plane: the plane of the slices.
    ///   - radius: N.
    ///   - background: the value of the slices beyond the ends.
    public init(_ volume: Volume, plane: SlicePlane, radius: Int, background: Float) {
        shape = SliceLayout(plane: plane, radius: radius, of: volume.grid, windowsShareSlices: true)
        let end = [Float](repeating: background, count: radius * shape.voxelsPerSlice)
        values = end + volume.permuted(shape.permutation).voxels + end
    }

    /// The volume that the windows' middle slices make, on the grid that the stack was cut from. O(n).
    public var volume: Volume {
        let middle =
            shape.windowsShareSlices
            ? Array(
                values[shape.voxels(ofSlice: shape.radius).lowerBound...]
                    .prefix(shape.windows * shape.voxelsPerSlice))
            : (0..<shape.windows).flatMap {
                values[shape.voxels(ofSlice: shape.slice(window: $0, position: shape.radius))]
            }
        let permuted = Volume(grid: shape.grid.permuted(shape.permutation), voxels: middle)
        // The grid itself: reordering axes and back may round its affine.
        return Volume(grid: shape.grid, voxels: permuted.permuted(shape.permutation.inverse).voxels)
    }

    /// Number of voxels in a slice.
    public var groupSize: Int { shape.voxelsPerSlice }

    /// Adds the noise of each slice's place in the volume, so that windows agree on the slices that they share.
    public mutating func addNoise(_ field: NoiseField, timestep: Int, weight: Double) {
        addNoise(field, timestep: timestep, weight: weight, to: 0..<shape.slices)
    }

    /// Adds noise to some of the slices.
    mutating func addNoise(_ field: NoiseField, timestep: Int, weight: Double, to slices: Range<Int>) {
        let weight = Float(weight)
        for slice in slices {
            let noise = field.slice(
                shape.sharedSlice(of: slice) - shape.radius, rows: shape.rows, columns: shape.columns,
                timestep: timestep)
            let start = shape.voxels(ofSlice: slice).lowerBound
            values.withUnsafeMutableBufferPointer { values in
                for (index, value) in noise.enumerated() { values[start + index] += weight * value }
            }
        }
    }

    /// The weighted sum. A stack whose windows share their slices may be added to one whose windows do not.
    public mutating func combine(_ weight: Double, adding terms: [WeightedSample<SliceStack>]) {
        guard terms.contains(where: { $0.weight != 0 && $0.storage.shape != shape }) else {
            combineValues(weight, adding: terms)
            return
        }
        let layout = shape
        var weight = Float(weight)
        for term in terms where term.weight != 0 {
            let other = term.storage.shape
            precondition(
                other == layout || other == layout.shared, "stacks of different slices cannot be added")
            let otherWeight = Float(term.weight)
            values.withUnsafeMutableBufferPointer { sum in
                term.storage.values.withUnsafeBufferPointer { values in
                    for slice in 0..<layout.slices {
                        let start = other == layout ? slice : layout.sharedSlice(of: slice)
                        let shift = (start - slice) * layout.voxelsPerSlice
                        for index in layout.voxels(ofSlice: slice) {
                            sum[index] = weight * sum[index] + otherWeight * values[index + shift]
                        }
                    }
                }
            }
            weight = 1
        }
    }

    /// The stack in a layout of the same windows that do not share slices.
    func expanded(to layout: SliceLayout) -> SliceStack {
        guard layout != shape else { return self }
        precondition(
            shape.windowsShareSlices && shape == layout.shared, "stacks of different slices cannot be added")
        var expanded: [Float] = []
        expanded.reserveCapacity(layout.count)
        for slice in 0..<layout.slices {
            expanded += values[shape.voxels(ofSlice: layout.sharedSlice(of: slice))]
        }
        return SliceStack(restoring: expanded, as: layout)!
    }
}
