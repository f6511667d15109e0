import CVoxelKernels
import Networks

/// Makes rows of an expression as they are asked for.
struct ImageReader {
    private let expression: ImageExpression
    private let blocks: [UnsafeMutablePointer<Float>]
    private let affine: (scale: UnsafeMutablePointer<Float>, shift: UnsafeMutablePointer<Float>)?

    /// The numbers that a reader keeps in its step's scratch.
    static func scratchSize(_ expression: ImageExpression) -> Int {
        expression.stages.isEmpty ? 0 : 2 * expression.blocks.count * lanes
    }

    /// Reads an expression, whose scales and shifts it works out into `scratch`.
    init(_ expression: ImageExpression, in evaluation: Evaluation, scratch: UnsafeMutablePointer<Float>) {
        self.expression = expression
        blocks = expression.blocks.map { evaluation.block($0) }
        guard !expression.stages.isEmpty else {
            affine = nil
            return
        }
        let places = expression.blocks.count * lanes
        let affine = (scale: scratch, shift: scratch + places)
        for channel in 0..<places {
            affine.scale[channel] = channel < expression.channels ? 1 : 0
            affine.shift[channel] = 0
        }
        for stage in expression.stages {
            expression.apply(stage, to: affine, in: evaluation)
        }
        self.affine = affine
    }

    /// Writes one row of one block of the image, `[columns][16]`.
    func read(row: Int, of block: Int, to result: UnsafeMutablePointer<Float>) {
        let stride = expression.columns * lanes
        let columns = expression.size.columns
        switch expression.resampling {
        case .same: activate(block, from: row * stride, columns, VOXEL_SAME_SIZE, to: result)
        case .half: activate(block, from: 2 * row * stride, columns, VOXEL_HALF_SIZE, to: result)
        case .double: activate(block, from: row / 2 * stride, columns, VOXEL_DOUBLE_SIZE, to: result)
        }
    }

    /// Writes some pixels of one block of an image that keeps its size, `[pixels][16]`.
    func read(pixels: Range<Int>, of block: Int, to result: UnsafeMutablePointer<Float>) {
        activate(block, from: pixels.lowerBound * lanes, pixels.count, VOXEL_SAME_SIZE, to: result)
    }

    private func activate(
        _ block: Int, from offset: Int, _ pixels: Int, _ resampling: voxel_resampling,
        to result: UnsafeMutablePointer<Float>
    ) {
        let row = blocks[block] + offset
        kernels.activate(
            row, row + expression.columns * lanes, pixels, affine.map { $0.scale + block * lanes },
            affine.map { $0.shift + block * lanes }, expression.isBent, resampling, result)
    }
}

extension ImageExpression {
    fileprivate func apply(
        _ stage: Stage, to affine: (scale: UnsafeMutablePointer<Float>, shift: UnsafeMutablePointer<Float>),
        in evaluation: Evaluation
    ) {
        switch stage {
        case .shift(let value):
            let shift = evaluation.shared[value]
            for channel in 0..<channels { affine.shift[channel] += shift[channel] }
        case .modulate(let scaleValue, let shiftValue):
            let (scale, shift) = (evaluation.shared[scaleValue], evaluation.shared[shiftValue])
            for channel in 0..<channels {
                affine.scale[channel] *= 1 + scale[channel]
                affine.shift[channel] = affine.shift[channel] * (1 + scale[channel]) + shift[channel]
            }
        case .normalize(let norm, let weight, let bias):
            let size = channels / GroupNorm.groups
            for group in 0..<GroupNorm.groups {
                let members = group * size..<(group + 1) * size
                let (mean, variance) = moments(of: members, affine, in: evaluation)
                let slope = 1 / (variance + Double(norm.epsilon)).squareRoot()
                for channel in members {
                    let scale = slope * Double(weight.start[channel])
                    affine.shift[channel] =
                        Float((Double(affine.shift[channel]) - mean) * scale) + bias.start[channel]
                    affine.scale[channel] = Float(Double(affine.scale[channel]) * scale)
                }
            }
        }
    }

    /// The mean and variance of some channels together, as the affine map so far leaves them.
    private func moments(
        of members: Range<Int>,
        _ affine: (scale: UnsafeMutablePointer<Float>, shift: UnsafeMutablePointer<Float>),
        in evaluation: Evaluation
    ) -> (mean: Double, variance: Double) {
        var (means, spread) = (0.0, 0.0)
        var count = 0.0
        let each = members.map { channel -> Double in
            guard let moments = evaluation.moments(blocks[channel / lanes]) else {
                preconditionFailure("nobody took the moments of \(blocks[channel / lanes])")
            }
            let scale = Double(affine.scale[channel])
            let mean = scale * moments.pointee.mean(channel % lanes) + Double(affine.shift[channel])
            count = moments.pointee.count
            means += mean
            spread += scale * scale * moments.pointee.deviation(channel % lanes)
            return mean
        }
        let mean = means / Double(members.count)
        let gaps = each.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        return (mean, (spread + count * gaps) / (count * Double(members.count)))
    }
}

extension voxel_moments {
    fileprivate func mean(_ lane: Int) -> Double { withUnsafeBytes(of: mean) { Self.number($0, lane) } }
    fileprivate func deviation(_ lane: Int) -> Double {
        withUnsafeBytes(of: deviation) { Self.number($0, lane) }
    }

    private static func number(_ bytes: UnsafeRawBufferPointer, _ lane: Int) -> Double {
        bytes.load(fromByteOffset: lane * MemoryLayout<Double>.stride, as: Double.self)
    }
}
