import TensorFiles

/// Overlapping tiles of a volume, for volumes whose activations do not fit in memory.
///
/// Each network sees one tile at a time. Where tiles overlap, their results are averaged with weights that fall linearly to
/// the tiles' borders; identical values are kept bit for bit. So one tile that covers the volume gives the bits of
/// no tiles.
///
/// Tiles are an approximation: a network's normalisations and its attention see their own tile alone. The latent is blended
/// before it is quantised, and the denoiser's predictions are blended at every step (MultiDiffusion, arXiv 2302.08113),
/// so that all tiles sample one latent.
public struct LatentTiling: Hashable, Sendable {
    /// Voxels of a tile along each axis.
    public var size: Int

    /// Voxels that neighbouring tiles share, along each axis.
    public var overlap: Int

    /// Tiles of a size.
    ///
    /// - Parameters:
    ///   - size: voxels along each axis, a multiple of `LatentModelConfiguration.sizeMultiple`.
    ///   - overlap: voxels shared along each axis, such a multiple too, at most half the size; nil for a quarter of it.
    public init(size: Int, overlap: Int? = nil) {
        (self.size, self.overlap) = (size, overlap ?? size / 4)
    }

    /// - Throws: `LatentTranslationError.input`.
    func validate(for configuration: LatentModelConfiguration) throws {
        let multiple = configuration.sizeMultiple
        guard size > 0, size % multiple == 0 else {
            throw LatentTranslationError.input(
                name: "the size of tiles", found: "\(size)", expected: "a multiple of \(multiple)")
        }
        guard overlap >= 0, overlap % multiple == 0, overlap <= size / 2 else {
            throw LatentTranslationError.input(
                name: "the overlap of tiles", found: "\(overlap)",
                expected: "a multiple of \(multiple) from 0 to \(size / 2 / multiple * multiple)")
        }
    }

    /// The result of a function of tensors, tile by tile.
    ///
    /// - Parameters:
    ///   - inputs: `[batch, channels, z, y, x]`, of the same extents.
    ///   - inputUnit: voxels of a volume that one element of the inputs is, along each axis.
    ///   - outputUnit: voxels that one element of the result is.
    ///   - body: a function of such parts of the inputs.
    func apply(
        to inputs: [Tensor], inputUnit: Int, outputUnit: Int, _ body: ([Tensor]) throws -> Tensor
    ) throws -> Tensor {
        guard size > 0, (0...size / 2).contains(overlap), size % outputUnit == 0, overlap % outputUnit == 0,
            size % inputUnit == 0, overlap % inputUnit == 0
        else {
            throw LatentTranslationError.input(
                name: "tiles", found: "\(size) voxels that overlap by \(overlap)",
                expected: "an overlap up to half the size, both multiples of \(max(inputUnit, outputUnit))")
        }
        let extents = inputs[0].shape[2...].map { $0 * inputUnit }
        let axes = extents.map { starts(along: $0) }
        var (result, weights): (Tensor?, [Float]) = (nil, [])
        let outputExtents = extents.map { $0 / outputUnit }
        for z in axes[0] {
            for y in axes[1] {
                for x in axes[2] {
                    let tile = zip([z, y, x], extents).map { start, extent in start..<min(start + size, extent)
                    }
                    let part = try body(inputs.map { $0.part(tile, unit: inputUnit) })
                    let outputs = tile.map { $0.lowerBound / outputUnit..<$0.upperBound / outputUnit }
                    let ramps = zip(outputs, outputExtents).map { range, extent in
                        ramp(over: range, of: extent, overlap: overlap / outputUnit)
                    }
                    if result == nil {
                        result = Tensor(shape: part.shape[..<2] + outputExtents)
                        weights = [Float](repeating: 0, count: outputExtents.reduce(1, *))
                    }
                    result!.blend(part, at: outputs, ramps: ramps, weights: &weights)
                }
            }
        }
        guard let result else { preconditionFailure("there are no tiles") }
        return result
    }

    /// Where tiles begin along an axis: evenly, the last one at the end.
    private func starts(along extent: Int) -> [Int] {
        guard extent > size else { return [0] }
        let step = size - overlap
        return Array(stride(from: 0, to: extent - size, by: step)) + [extent - size]
    }

    /// The weights of a tile along an axis: 1, but rising and falling towards borders within the volume.
    private func ramp(over range: Range<Int>, of extent: Int, overlap: Int) -> [Float] {
        range.map { place in
            func rise(_ distance: Int) -> Float { min(1, (Float(distance) + 0.5) / Float(max(1, overlap))) }
            let first = range.lowerBound > 0 ? rise(place - range.lowerBound) : 1
            return min(first, range.upperBound < extent ? rise(range.upperBound - 1 - place) : 1)
        }
    }
}

extension Tensor {
    /// The part of `[batch, channels, z, y, x]` within ranges of voxels, of which an element is `unit` along each axis.
    fileprivate func part(_ ranges: [Range<Int>], unit: Int) -> Tensor {
        ranges.enumerated().reduce(self) { tensor, range in
            tensor.slice(
                axis: range.offset + 2,
                range.element.lowerBound / unit..<range.element.upperBound / unit)
        }
    }

    /// Moves the mean of what has been blended here towards a part, by its share of all weights so far: equal values are
    /// kept bit for bit.
    fileprivate mutating func blend(
        _ part: Tensor, at ranges: [Range<Int>], ramps: [[Float]], weights: inout [Float]
    ) {
        let (rows, columns) = (shape[3], shape[4])
        let (outer, inner) = (shape[0] * shape[1], shape[2] * rows * columns)
        let partInner = part.shape[2...].reduce(1, *)
        values.withUnsafeMutableBufferPointer { sum in
            part.values.withUnsafeBufferPointer { part in
                var index = 0
                for (z, slice) in ranges[0].enumerated() {
                    for (y, row) in ranges[1].enumerated() {
                        for (x, column) in ranges[2].enumerated() {
                            let place = (slice * rows + row) * columns + column
                            let weight = ramps[0][z] * ramps[1][y] * ramps[2][x]
                            weights[place] += weight
                            let share = weight / weights[place]
                            for channel in 0..<outer {
                                let target = channel * inner + place
                                sum[target] += share * (part[channel * partInner + index] - sum[target])
                            }
                            index += 1
                        }
                    }
                }
            }
        }
    }
}
