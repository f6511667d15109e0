import CVoxelKernels
import Networks

extension GradientTape {
    /// The gradient of the kernels of a Winograd convolution, `[outputs, inputs, taps, 3, 3]`, summed in the Winograd
    /// domain: for each of its 36 frequencies, and each plane of the kernel, the product of the tiles of the result's
    /// gradient with those of the image.
    ///
    /// An image goes through in slabs of planes and rows of tiles. All tiles of a slab lie in a row, so that a kernel's
    /// planes are the same tiles of the image seen from other planes.
    func weightGradient(
        _ gradient: BlockedTensor, _ numbers: Numbers, taps: Int, _ size: Extents
    ) -> [Float] {
        let x = numbers.like
        let slabs = GradientSlabs(x, gradient, taps: taps, size)
        let outputRows = gradient.blockCount * Block.lanes
        let tapStride = x.blockCount * outputRows * Block.lanes
        let sums = FloatBuffer(uninitialized: 36 * taps * tapStride, from: memory)
        let input = FloatBuffer(uninitialized: slabs.inputSize, from: memory)
        let output = FloatBuffer(uninitialized: slabs.outputSize, from: memory)
        let transposed = FloatBuffer(uninitialized: slabs.outputSize, from: memory)
        let strips = FloatBuffer(uninitialized: workers.threads * slabs.tiling.stripSize, from: memory)
        var isFirst = true
        for item in 0..<x.batch {
            for (planes, tileRows) in slabs.all {
                slabs.transform(
                    numbers, gradient, item, planes, tileRows, into: input, output, strips: strips, workers)
                let (planeTiles, tiles) = (slabs.tiling.tiles(tileRows), slabs.tiles(planes, tileRows))
                let adding = !isFirst
                workers.split(36) { frequencies, _ in
                    for frequency in frequencies {
                        let from = output.start + frequency * slabs.outputStride
                        let to = transposed.start + frequency * slabs.outputStride
                        for block in 0..<gradient.blockCount {
                            for tileBlock in 0..<tiles / Block.lanes {
                                Block.kernels.transpose(
                                    from + (block * tiles + tileBlock * Block.lanes) * Block.lanes, Block.lanes,
                                    to + (tileBlock * outputRows + block * Block.lanes) * Block.lanes,
                                    Block.lanes)
                            }
                        }
                        let places = Block.starts(
                            to, count: tiles / Block.lanes, stride: outputRows * Block.lanes)
                        for tap in 0..<taps {
                            Block.kernels.multiply(
                                outputRows, x.blockCount, tiles / Block.lanes, places, 0, Block.lanes,
                                input.start + frequency * slabs.tiling.stride + tap * planeTiles * Block.lanes,
                                slabs.inputTiles(planes, tileRows) * Block.lanes,
                                sums.start + (frequency * taps + tap) * tapStride, outputRows * Block.lanes,
                                adding)
                        }
                    }
                }
                isFirst = false
            }
        }
        return untransformed(
            sums, taps: taps, stride: tapStride, outputs: gradient.channels, inputs: x.channels, outputRows)
    }

    /// The gradient of the kernels from that of their Winograd form, `[36][taps][input blocks][outputs][16 inputs]`.
    private func untransformed(
        _ sums: FloatBuffer, taps: Int, stride: Int, outputs: Int, inputs: Int, _ outputRows: Int
    ) -> [Float] {
        [Float](unsafeUninitializedCapacity: outputs * inputs * taps * 9) { values, count in
            // Each worker writes the kernels of its own outputs.
            nonisolated(unsafe) let values = values
            workers.split(outputs) { range, _ in
                withUnsafeTemporaryAllocation(byteCount: 27 * Block.lanes * 4, alignment: 64) { bytes in
                    let tile = bytes.bindMemory(to: Float.self)
                    guard let kernel = tile.baseAddress, let result = values.baseAddress else { return }
                    for (output, block) in range.flatMap({ o in (0..<Block.count(inputs)).map { (o, $0) } }) {
                        for tap in 0..<taps {
                            Block.kernels.winograd_weights_adjoint(
                                sums.start + tap * stride + (block * outputRows + output) * Block.lanes,
                                taps * stride, kernel + tap * 9 * Block.lanes)
                        }
                        let first = block * Block.lanes
                        Block.kernels.unpack(
                            kernel, Block.lanes, taps * 9, min(Block.lanes, inputs - first),
                            result + (output * inputs + first) * taps * 9, taps * 9)
                    }
                }
            }
            count = outputs * inputs * taps * 9
        }
    }
}
