import CVoxelKernels
import Networks
import TensorFiles

/// Group normalisation of a batch, and SiLU of it where it is curved, computed where it is read: convolutions read it row by
/// row, so that its numbers need not be kept.
struct Normalization: Sendable {
    let layer: GroupNorm
    let x: BlockedTensor
    private let groups: GroupMoments
    private let scales: [Float]
    /// `[batch][blocks][3][16]`: p, q and s of `blend`.
    private let coefficients: FloatBuffer
    private let memory: BufferPool
    private let workers: WorkerPool
    private(set) var isCurved = false

    /// The pixels that are computed at a time where several steps follow each other.
    private static let runPixels = 128

    init(_ x: BlockedTensor, _ layer: GroupNorm, scales: Tensor?, shifts: Tensor?, tape: GradientTape) {
        (self.layer, self.x, memory, workers) = (layer, x, tape.memory, tape.workers)
        groups = GroupMoments(x, groups: layer.groups, epsilon: layer.epsilon, workers: workers)
        self.scales = scales?.values ?? [Float](repeating: 1, count: layer.channels)
        let shifts = shifts?.values ?? [Float](repeating: 0, count: layer.channels)
        coefficients = FloatBuffer(zeros: 3 * x.batch * x.blockCount * Block.lanes)
        for item in 0..<x.batch {
            for channel in 0..<x.channels {
                let (mean, scale) = groups.moments(channel, item)
                let slope = scale * Double(self.scales[channel])
                let place = coefficients(of: channel / Block.lanes, item) + channel % Block.lanes
                place[0] = Float(slope)
                place[2 * Block.lanes] = Float(Double(shifts[channel]) - mean * slope)
            }
        }
    }

    /// The same, with SiLU after it.
    var curved: Normalization {
        var curved = self
        curved.isCurved = true
        return curved
    }

    private func coefficients(of block: Int, _ item: Int) -> UnsafeMutablePointer<Float> {
        coefficients.start + (item * x.blockCount + block) * 3 * Block.lanes
    }

    /// Computes some pixels of a block of an image from those of x; in place where they are the same.
    private func apply(
        _ block: Int, _ item: Int, _ source: UnsafePointer<Float>, pixels: Int,
        to target: UnsafeMutablePointer<Float>
    ) {
        Block.kernels.blend(source, source, pixels, coefficients(of: block, item), target)
        if isCurved { Block.kernels.activate(target, nil, pixels, nil, nil, true, VOXEL_SAME_SIZE, target) }
    }

    /// Writes one row of a block of one image, `[columns][16]`.
    func copyRow(
        _ row: Int, columns: Int, of block: Int, _ item: Int, to target: UnsafeMutablePointer<Float>
    ) {
        let source = x.block(block, of: item) + row * columns * Block.lanes
        apply(block, item, source, pixels: columns, to: target)
    }

    /// All numbers.
    var numbers: BlockedTensor {
        let result = BlockedTensor(channels: x.channels, batch: x.batch, pixels: x.pixels, from: memory)
        x.forEachSegment(workers) { block, item, first, pixels, _ in
            let offset = first * Block.lanes
            apply(
                block, item, x.block(block, of: item) + offset, pixels: pixels,
                to: result.block(block, of: item) + offset)
        }
        return result
    }

    // MARK: Backwards

    /// For each channel of each image, the sum of the gradient, and that of its product with x less the mean.
    func sums(_ gradient: BlockedTensor) -> (sums: [Double], products: [Double]) {
        groups.centered(
            x.correlate(about: { Float(groups.moments($0, $1).mean) }, workers: workers) {
                block, item, first, pixels, centers, sums, products in
                let offset = first * Block.lanes
                Block.kernels.correlate(
                    gradient.block(block, of: item) + offset, x.block(block, of: item) + offset, centers,
                    pixels,
                    sums, products)
            })
    }

    /// The gradient before SiLU from that after it, and its sums.
    func slopesBeforeCurve(
        _ gradient: BlockedTensor
    ) -> (slopes: BlockedTensor, sums: (sums: [Double], products: [Double])) {
        let slopes = BlockedTensor(channels: x.channels, batch: x.batch, pixels: x.pixels, from: memory)
        let sums = x.correlate(about: { Float(groups.moments($0, $1).mean) }, workers: workers) {
            block, item, first, pixels, centers, sums, products in
            withUnsafeTemporaryAllocation(byteCount: Self.runPixels * Block.lanes * 4, alignment: 64) { bytes in
                guard let normal = bytes.bindMemory(to: Float.self).baseAddress else { return }
                for begin in stride(from: first, to: first + pixels, by: Self.runPixels) {
                    let count = min(Self.runPixels, first + pixels - begin)
                    let source = x.block(block, of: item) + begin * Block.lanes
                    let slope = slopes.block(block, of: item) + begin * Block.lanes
                    Block.kernels.blend(source, source, count, coefficients(of: block, item), normal)
                    Block.kernels.silu_gradient(
                        normal, gradient.block(block, of: item) + begin * Block.lanes, count, slope)
                    Block.kernels.correlate(slope, source, centers, count, sums, products)
                }
            }
        }
        return (slopes, groups.centered(sums))
    }

    /// With g the gradient times the weight and z the normalised image, `(g - mean(g) - z mean(g z)) / deviation`.
    ///
    /// Over each group this sums to 0, here to within one rounding: where a group is one channel, the gradients of the
    /// biases before it are these sums, and Adam would turn rounding errors into full steps.
    ///
    /// - Parameter result: where it is written, which may be the gradient; nil for new memory.
    func gradient(
        _ gradient: BlockedTensor, _ sums: (sums: [Double], products: [Double]),
        into result: BlockedTensor? = nil
    ) -> BlockedTensor {
        let result =
            result ?? BlockedTensor(channels: x.channels, batch: x.batch, pixels: x.pixels, from: memory)
        let count = Double(groups.size * x.pixels)
        x.forEachSegment(workers) { block, item, first, pixels, _ in
            withUnsafeTemporaryAllocation(byteCount: 3 * Block.lanes * 8, alignment: 128) { bytes in
                let coefficients = bytes.bindMemory(to: Double.self)
                coefficients.update(repeating: 0)
                for channel in x.channels(of: block) {
                    let (mean, scale) = groups.moments(channel, item)
                    var (slopes, products) = (0.0, 0.0)
                    for member in groups.members(of: channel) {
                        let place = x.place(of: member, item)
                        slopes += Double(scales[member]) * sums.sums[place]
                        products += Double(scales[member]) * sums.products[place]
                    }
                    let along = scale * scale * scale * products / count
                    coefficients[channel % Block.lanes] = scale * Double(scales[channel])
                    coefficients[Block.lanes + channel % Block.lanes] = -along
                    coefficients[2 * Block.lanes + channel % Block.lanes] =
                        along * mean - scale * slopes / count
                }
                let offset = first * Block.lanes
                Block.kernels.blend_keeping_sum(
                    gradient.block(block, of: item) + offset, x.block(block, of: item) + offset, pixels,
                    coefficients.baseAddress, result.block(block, of: item) + offset)
            }
        }
        return result
    }

    /// The gradients of the scales and shifts.
    func slopes(_ sums: (sums: [Double], products: [Double])) -> (weights: [Float], biases: [Float]) {
        var (weights, biases) = (
            [Double](repeating: 0, count: x.channels), [Double](repeating: 0, count: x.channels)
        )
        for item in 0..<x.batch {
            for channel in 0..<x.channels {
                let place = x.place(of: channel, item)
                weights[channel] += sums.products[place] * groups.moments(channel, item).scale
                biases[channel] += sums.sums[place]
            }
        }
        return (weights.map { Float($0) }, biases.map { Float($0) })
    }
}

/// The mean of each group of channels of each image, and 1 / sqrt(variance + epsilon).
private struct GroupMoments: Sendable {
    /// Groups, and channels of a group.
    let groups, size: Int
    private let x: BlockedTensor
    private let means, scales: [Double]

    init(_ x: BlockedTensor, groups: Int, epsilon: Float, workers: WorkerPool) {
        (self.groups, self.x) = (groups, x)
        size = x.channels / groups
        // About the first pixel, which keeps deviations when the mean is large.
        @Sendable func pivot(_ channel: Int, _ item: Int) -> Float {
            x.block(channel / Block.lanes, of: item)[channel % Block.lanes]
        }
        let (sums, products) = x.correlate(about: pivot, workers: workers) {
            block, item, first, pixels, centers, sums, products in
            let source = x.block(block, of: item) + first * Block.lanes
            Block.kernels.correlate(source, source, centers, pixels, sums, products)
        }
        var (means, scales) = ([Double](), [Double]())
        for item in 0..<x.batch {
            for group in 0..<groups {
                let members = (group * size..<(group + 1) * size).map { channel in
                    let place = x.place(of: channel, item)
                    let mean = sums[place] / Double(x.pixels)
                    let deviation = products[place] - (mean - Double(pivot(channel, item))) * sums[place]
                    return (mean: mean, deviation: max(0, deviation))
                }
                let mean = members.reduce(0) { $0 + $1.mean } / Double(size)
                let spread = members.reduce(0) {
                    $0 + $1.deviation + Double(x.pixels) * ($1.mean - mean) * ($1.mean - mean)
                }
                means.append(mean)
                scales.append(1 / (spread / Double(size * x.pixels) + Double(epsilon)).squareRoot())
            }
        }
        (self.means, self.scales) = (means, scales)
    }

    func members(of channel: Int) -> Range<Int> { channel / size * size..<(channel / size + 1) * size }

    func moments(_ channel: Int, _ item: Int) -> (mean: Double, scale: Double) {
        let place = item * groups + channel / size
        return (means[place], scales[place])
    }

    /// Products with x less the mean, from those with x less the mean in single precision.
    func centered(_ found: (sums: [Double], products: [Double])) -> (sums: [Double], products: [Double]) {
        var (sums, products) = found
        for item in 0..<x.batch {
            for channel in 0..<x.channels {
                let (place, mean) = (x.place(of: channel, item), moments(channel, item).mean)
                products[place] -= (mean - Double(Float(mean))) * sums[place]
            }
        }
        return (sums, products)
    }
}

extension BlockedTensor {
    /// The channels of a block.
    fileprivate func channels(of block: Int) -> Range<Int> {
        block * Block.lanes..<min(channels, (block + 1) * Block.lanes)
    }

    /// Where a channel's number is among those of all images and all channels of whole blocks.
    fileprivate func place(of channel: Int, _ item: Int) -> Int { item * blockCount * Block.lanes + channel }

    /// How many parts the pixels of an image are summed in: more than one for volumes alone.
    private var segments: Int { max(1, (pixels + Self.segmentPixels - 1) / Self.segmentPixels) }
    private static var segmentPixels: Int { 1 << 16 }

    /// Calls `body` with the segments of each block of each image, which threads share.
    fileprivate func forEachSegment(
        _ workers: WorkerPool,
        _ body:
            @Sendable (_ block: Int, _ item: Int, _ first: Int, _ pixels: Int, _ place: Int) -> Void
    ) {
        let (segments, size) = (segments, (pixels + segments - 1) / segments)
        workers.split(blockCount * batch * segments) { places, _ in
            for place in places {
                let (image, segment) = place.quotientAndRemainder(dividingBy: segments)
                let first = segment * size
                body(image / batch, image % batch, first, min(size, pixels - first), place)
            }
        }
    }

    /// For each channel of each image, and zeros up to a whole block, the sums that `add` adds to for some pixels of a block.
    fileprivate func correlate(
        about center: @Sendable (_ channel: Int, _ item: Int) -> Float, workers: WorkerPool,
        _ add:
            @Sendable (
                _ block: Int, _ item: Int, _ first: Int, _ pixels: Int, _ centers: UnsafePointer<Float>,
                _ sums: UnsafeMutablePointer<Double>, _ products: UnsafeMutablePointer<Double>
            ) -> Void
    ) -> (sums: [Double], products: [Double]) {
        // Those of each segment, sums and then products.
        let count = 2 * Block.lanes
        var parts = [Double](repeating: 0, count: blockCount * batch * segments * count)
        parts.withUnsafeMutableBufferPointer { parts in
            // Each worker adds to the sums of its own segments.
            nonisolated(unsafe) let parts = parts
            forEachSegment(workers) { block, item, first, pixels, place in
                withUnsafeTemporaryAllocation(byteCount: Block.lanes * 4, alignment: 64) { bytes in
                    let centers = bytes.bindMemory(to: Float.self)
                    centers.update(repeating: 0)
                    for channel in channels(of: block) {
                        centers[channel % Block.lanes] = center(channel, item)
                    }
                    guard let centers = centers.baseAddress, let start = parts.baseAddress else { return }
                    let sums = start + place * count
                    add(block, item, first, pixels, centers, sums, sums + Block.lanes)
                }
            }
        }
        var sums = [Double](repeating: 0, count: batch * blockCount * Block.lanes)
        var products = sums
        for place in 0..<blockCount * batch * segments {
            let image = place / segments
            let target = self.place(of: image / batch * Block.lanes, image % batch)
            for lane in 0..<Block.lanes {
                sums[target + lane] += parts[place * count + lane]
                products[target + lane] += parts[place * count + Block.lanes + lane]
            }
        }
        return (sums, products)
    }
}
