/// A batch of images in blocks of sixteen channels: `[channels / 16][batch][pixels][16]`.
///
/// All values of a network have this layout: an image, tokens (pixels in a row), and a vector (one pixel). Each block
/// is padded with zeros to a multiple of sixteen pixels, and the last block to sixteen channels, so that a block can
/// be either side of a matrix product in place.
final class BlockedTensor: Sendable {
    let channels, batch, pixels: Int
    /// From one block to the next, in numbers.
    let stride: Int
    let numbers: FloatBuffer

    var blockCount: Int { Block.count(channels) }
    /// Pixels of the whole batch, and those padded to a multiple of sixteen.
    var batchPixels: Int { batch * pixels }
    var paddedPixels: Int { stride / Block.lanes }

    /// Memory for a batch, of which only the padding pixels are initialised.
    init(channels: Int, batch: Int, pixels: Int, from pool: BufferPool) {
        (self.channels, self.batch, self.pixels) = (channels, batch, pixels)
        stride = (batch * pixels + Block.lanes - 1) / Block.lanes * Block.lanes * Block.lanes
        numbers = FloatBuffer(uninitialized: Block.count(channels) * stride, from: pool)
        for block in 0..<blockCount {
            (self.block(block) + batchPixels * Block.lanes).update(
                repeating: 0, count: stride - batchPixels * Block.lanes)
        }
    }

    /// All pixels of a block, `[batch][pixels][16]`.
    func block(_ block: Int) -> UnsafeMutablePointer<Float> { numbers.start + block * stride }

    /// One image's pixels of a block, `[pixels][16]`.
    func block(_ block: Int, of item: Int) -> UnsafeMutablePointer<Float> {
        self.block(block) + item * pixels * Block.lanes
    }

    /// Where the pixels of each block begin, from one pixel of the batch on.
    func starts(from pixel: Int) -> [UnsafePointer<Float>?] {
        Block.starts(numbers.start + pixel * Block.lanes, count: blockCount, stride: stride)
    }

    /// Copies one row of a block of one image, `[columns][16]`.
    func copyRow(
        _ row: Int, columns: Int, of block: Int, _ item: Int, to target: UnsafeMutablePointer<Float>
    ) {
        let count = columns * Block.lanes
        target.update(from: self.block(block, of: item) + row * count, count: count)
    }

    /// Where the first block of one image is.
    func place(of item: Int) -> BufferPlace {
        BufferPlace(buffer: numbers, offset: item * pixels * Block.lanes)
    }

    /// Where each block of one image is.
    func places(of item: Int) -> [BufferPlace] {
        (0..<blockCount).map { BufferPlace(buffer: numbers, offset: $0 * stride + item * pixels * Block.lanes) }
    }

    /// A batch of zeros, of the same shape.
    func zeros(from pool: BufferPool) -> BlockedTensor {
        let result = BlockedTensor(channels: channels, batch: batch, pixels: pixels, from: pool)
        result.numbers.start.update(repeating: 0, count: result.numbers.count)
        return result
    }

    /// The numbers of `[batch, channels, pixels]`, or of `[batch, pixels, channels]` where they are tokens.
    convenience init(
        _ values: [Float], channels: Int, batch: Int, pixels: Int, isTokens: Bool, from pool: BufferPool
    ) {
        self.init(channels: channels, batch: batch, pixels: pixels, from: pool)
        let (channelStride, pixelStride) = isTokens ? (1, channels) : (pixels, 1)
        values.withUnsafeBufferPointer { values in
            for block in 0..<blockCount {
                for item in 0..<batch {
                    let target = self.block(block, of: item)
                    for lane in 0..<Block.lanes {
                        let channel = block * Block.lanes + lane
                        let start = item * channels * pixels + channel * channelStride
                        for pixel in 0..<pixels {
                            target[pixel * Block.lanes + lane] =
                                channel < channels ? values[start + pixel * pixelStride] : 0
                        }
                    }
                }
            }
        }
    }

    /// The numbers as `[batch, channels, pixels]`, or as `[batch, pixels, channels]` for tokens.
    func values(isTokens: Bool) -> [Float] {
        let (channelStride, pixelStride) = isTokens ? (1, channels) : (pixels, 1)
        return [Float](unsafeUninitializedCapacity: channels * batchPixels) { values, count in
            for item in 0..<batch {
                for channel in 0..<channels {
                    let source = block(channel / Block.lanes, of: item) + channel % Block.lanes
                    let start = item * channels * pixels + channel * channelStride
                    for pixel in 0..<pixels {
                        values[start + pixel * pixelStride] = source[pixel * Block.lanes]
                    }
                }
            }
            count = channels * batchPixels
        }
    }
}
