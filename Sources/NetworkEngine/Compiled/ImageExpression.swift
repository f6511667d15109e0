import CVoxelKernels
import Networks

/// Sixteen neighbouring channels of an image in the arena.
struct BlockReference: Hashable, Sendable {
    let image: Int
    let block: Int
}

/// An image given by blocks in the arena, with normalisation, products, activation and resampling deferred to its
/// consumer.
///
/// Deferring is how layers are fused: a convolution that reads `SiLU(GroupNorm(x))` computes both on the rows that
/// it is about to transform, while they are in cache. Joining or splitting channels costs nothing at all.
struct ImageExpression: Sendable {
    /// Channels 16 i to 16 i + 15 are those of block i. Beyond the last channel, the last block holds zeros.
    var blocks: [BlockReference]
    var channels: Int
    /// The size of the blocks' images, before resampling.
    var extents: Extents

    /// Applied to every pixel, in this order.
    var stages: [Stage] = []
    /// Another image that is multiplied after the stages.
    var factor: Factor?
    /// Applied after the factor.
    var activation = Activation.none
    /// Applied last.
    var resampling = Resampling.same

    /// An affine map of each channel.
    enum Stage: Sendable {
        case normalize(GroupNorm, weight: FloatBuffer?, bias: FloatBuffer?)
        /// `x (1 + scale) + shift`; both are shared values.
        case modulate(scale: Int, shift: Int)
        /// `x + shift`, a shared value.
        case shift(Int)
    }

    /// `x y`, or `x (1 + y)`, pixel by pixel.
    struct Factor: Sendable {
        let blocks: [BlockReference]
        let addsOne: Bool
    }

    enum Activation: Sendable {
        case none
        /// `x / (1 + e^-x)`.
        case silu
        /// x, or `slope x` where x is negative.
        case leakyReLU(slope: Float)
    }

    enum Resampling: Equatable, Sendable {
        case same
        /// Rows and columns of one plane averaged in pairs.
        case half
        /// Every pixel twice along rows and columns, and `planes` times along planes.
        case double(planes: Int)
    }

    var pixels: Int { extents.pixels }

    var isActivated: Bool { if case .none = activation { false } else { true } }
    var isRectified: Bool { if case .leakyReLU = activation { true } else { false } }

    /// Whether the blocks themselves are the image.
    var isPlain: Bool { stages.isEmpty && factor == nil && !isActivated && resampling == .same }

    /// The size of the image.
    var size: Extents {
        switch resampling {
        case .same: extents
        case .half: Extents(rows: extents.rows / 2, columns: extents.columns / 2)
        case .double(let planes):
            Extents(planes: extents.planes * planes, rows: extents.rows * 2, columns: extents.columns * 2)
        }
    }

    /// The images that are read, and those whose moments are.
    var images: Set<Int> { Set((blocks + (factor?.blocks ?? [])).map(\.image)) }
    var measuredImages: Set<Int> {
        let isNormalized = stages.contains { if case .normalize = $0 { true } else { false } }
        return isNormalized ? Set(blocks.map(\.image)) : []
    }
}

/// Computes rows of an expression on demand.
struct ImageReader: Sendable {
    private let expression: ImageExpression
    private let blocks, factors: [BufferPlace]
    /// The scales of all channels, then their shifts.
    private let affine: BufferPlace?

    /// The numbers of scratch memory that a reader keeps.
    static func scratchSize(_ expression: ImageExpression) -> Int {
        expression.stages.isEmpty ? 0 : 2 * expression.blocks.count * Block.lanes
    }

    /// Reads an expression, whose scales and shifts it computes into `scratch`.
    init(_ expression: ImageExpression, in evaluation: Evaluation, scratch: BufferPlace) {
        self.expression = expression
        blocks = expression.blocks.map { evaluation.place($0) }
        factors = expression.factor?.blocks.map { evaluation.place($0) } ?? []
        affine = expression.stages.isEmpty ? nil : scratch
        guard affine != nil else { return }
        let places = expression.blocks.count * Block.lanes
        let affine = (scale: scratch.start, shift: scratch.start + places)
        for channel in 0..<places {
            affine.scale[channel] = channel < expression.channels ? 1 : 0
            affine.shift[channel] = 0
        }
        for stage in expression.stages { expression.apply(stage, to: affine, in: evaluation) }
    }

    /// Writes one row of one block of the image, `[columns][16]`.
    func read(plane: Int, row: Int, of block: Int, to result: UnsafeMutablePointer<Float>) {
        let (rows, columns) = (expression.extents.rows, expression.size.columns)
        let (first, resampling) =
            switch expression.resampling {
            case .same: (plane * rows + row, VOXEL_SAME_SIZE)
            case .half: (2 * row, VOXEL_HALF_SIZE)
            case .double(let planes): (plane / planes * rows + row / 2, VOXEL_DOUBLE_SIZE)
            }
        compute(block, from: first * expression.extents.columns * Block.lanes, columns, resampling, to: result)
    }

    /// Writes some pixels of one block of an image that is not resampled, `[pixels][16]`.
    func read(pixels: Range<Int>, of block: Int, to result: UnsafeMutablePointer<Float>) {
        compute(block, from: pixels.lowerBound * Block.lanes, pixels.count, VOXEL_SAME_SIZE, to: result)
    }

    private func compute(
        _ block: Int, from offset: Int, _ pixels: Int, _ resampling: voxel_resampling,
        to result: UnsafeMutablePointer<Float>
    ) {
        let row = blocks[block].start + offset
        let scale = affine.map { $0.start + block * Block.lanes }
        let isSiLU = if case .silu = expression.activation { true } else { false }
        Block.kernels.activate(
            row, row + expression.extents.columns * Block.lanes, pixels, scale,
            scale.map { $0 + blocks.count * Block.lanes }, isSiLU && factors.isEmpty, resampling, result)
        if let factor = expression.factor {
            Block.kernels.scale(result, factors[block].start + offset, factor.addsOne ? 1 : 0, pixels)
            if isSiLU {
                Block.kernels.activate(result, nil, pixels, nil, nil, true, VOXEL_SAME_SIZE, result)
            }
        }
        if case .leakyReLU(let slope) = expression.activation { Block.kernels.rectify(result, slope, pixels) }
    }
}

extension ImageExpression {
    fileprivate func apply(
        _ stage: Stage, to affine: (scale: UnsafeMutablePointer<Float>, shift: UnsafeMutablePointer<Float>),
        in evaluation: Evaluation
    ) {
        switch stage {
        case .shift(let value):
            let shift = evaluation.shared[value].start
            for channel in 0..<channels { affine.shift[channel] += shift[channel] }
        case .modulate(let scaleValue, let shiftValue):
            let (scale, shift) = (evaluation.shared[scaleValue].start, evaluation.shared[shiftValue].start)
            for channel in 0..<channels {
                affine.scale[channel] *= 1 + scale[channel]
                affine.shift[channel] = affine.shift[channel] * (1 + scale[channel]) + shift[channel]
            }
        case .normalize(let norm, let weight, let bias):
            let size = channels / norm.groups
            for group in 0..<norm.groups {
                let members = group * size..<(group + 1) * size
                let (mean, variance) = moments(of: members, affine, in: evaluation)
                let slope = 1 / (variance + Double(norm.epsilon)).squareRoot()
                for channel in members {
                    let scale = slope * Double(weight?.start[channel] ?? 1)
                    affine.shift[channel] =
                        Float((Double(affine.shift[channel]) - mean) * scale) + (bias?.start[channel] ?? 0)
                    affine.scale[channel] = Float(Double(affine.scale[channel]) * scale)
                }
            }
        }
    }

    /// The mean and variance of some channels together, after the affine map so far.
    private func moments(
        of members: Range<Int>,
        _ affine: (scale: UnsafeMutablePointer<Float>, shift: UnsafeMutablePointer<Float>),
        in evaluation: Evaluation
    ) -> (mean: Double, variance: Double) {
        var (means, spread) = (0.0, 0.0)
        var count = 0.0
        let each = members.map { channel -> Double in
            let (block, lane) = (blocks[channel / Block.lanes], channel % Block.lanes)
            guard let moments = evaluation.moments(block) else {
                preconditionFailure("no step has computed the moments of \(block)")
            }
            let scale = Double(affine.scale[channel])
            let mean =
                scale * withUnsafeBytes(of: moments.pointee.mean) { Self.number($0, lane) }
                + Double(affine.shift[channel])
            count = moments.pointee.count
            means += mean
            spread += scale * scale * withUnsafeBytes(of: moments.pointee.deviation) { Self.number($0, lane) }
            return mean
        }
        let mean = means / Double(members.count)
        let gaps = each.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        return (mean, (spread + count * gaps) / (count * Double(members.count)))
    }

    private static func number(_ bytes: UnsafeRawBufferPointer, _ lane: Int) -> Double {
        bytes.load(fromByteOffset: lane * MemoryLayout<Double>.stride, as: Double.self)
    }
}
