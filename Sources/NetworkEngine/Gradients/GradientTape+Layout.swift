import CVoxelKernels

extension GradientTape {
    /// Channels joined; nil for another axis.
    func concatenated(_ parts: [Value], axis: Int, shape: [Int]) -> Value? {
        guard axis == channelAxis(parts[0]) else { return nil }
        let channels = parts.reduce(0) { $0 + $1.data.channels }
        let result = empty(channels: channels, like: parts[0].data)
        var places: [Range<Int>] = []
        for part in parts {
            let first = places.last?.upperBound ?? 0
            places.append(first..<first + part.data.channels)
            copy(part.data, Array(0..<part.data.channels), to: result, Array(places[places.count - 1]))
        }
        clearPadding(of: result)
        return record(result, shape: shape, isTokens: parts[0].isTokens, from: parts) { [self] gradient in
            for (part, place) in zip(parts, places) { add(extract(Array(place), of: gradient), to: part) }
        }
    }

    /// Channels taken from others; nil for another axis.
    func slice(_ x: Value, axis: Int, _ range: Range<Int>, shape: [Int]) -> Value? {
        guard axis == channelAxis(x) else { return nil }
        let channels = (0..<x.data.channels).filter { range.contains($0 % x.shape[axis]) }
        let result = extract(channels, of: x.data)
        return record(result, shape: shape, isTokens: x.isTokens, from: [x]) { [self] gradient in
            let back = x.data.zeros(from: memory)
            copy(gradient, Array(channels.indices), to: back, channels)
            add(back, to: x)
        }
    }

    /// The axis of the channels: the last of tokens and vectors, the second of images.
    private func channelAxis(_ x: Value) -> Int { x.isTokens ? x.shape.count - 1 : 1 }

    private func extract(_ channels: [Int], of data: BlockedTensor) -> BlockedTensor {
        let result = empty(channels: channels.count, like: data)
        copy(data, channels, to: result, Array(channels.indices))
        clearPadding(of: result)
        return result
    }

    /// Copies some channels, block by block where they are whole blocks.
    private func copy(_ source: BlockedTensor, _ from: [Int], to target: BlockedTensor, _ to: [Int]) {
        var index = 0
        while index < from.count {
            let (origin, place) = (from[index], to[index])
            let isBlock =
                origin % Block.lanes == 0 && place % Block.lanes == 0 && index + Block.lanes <= from.count
                && from[index + Block.lanes - 1] == origin + Block.lanes - 1
                && to[index + Block.lanes - 1] == place + Block.lanes - 1
            if isBlock {
                workers.split(target.batchPixels, by: Block.lanes) { pixels, _ in
                    let offset = pixels.lowerBound * Block.lanes
                    (target.block(place / Block.lanes) + offset).update(
                        from: source.block(origin / Block.lanes) + offset, count: pixels.count * Block.lanes)
                }
                index += Block.lanes
            } else {
                let source = source.block(origin / Block.lanes) + origin % Block.lanes
                let result = target.block(place / Block.lanes) + place % Block.lanes
                for pixel in 0..<target.batchPixels {
                    result[pixel * Block.lanes] = source[pixel * Block.lanes]
                }
                index += 1
            }
        }
    }

    /// Zeros what the last block holds beyond the last channel.
    private func clearPadding(of data: BlockedTensor) {
        let used = data.channels % Block.lanes
        guard used > 0 else { return }
        let last = data.block(data.blockCount - 1)
        for pixel in 0..<data.batchPixels {
            (last + pixel * Block.lanes + used).update(repeating: 0, count: Block.lanes - used)
        }
    }

    /// Every spatial axis averaged in pairs; nil for other than two axes.
    func averagePooled(_ x: Value) -> Value? {
        resampled(x, extents: x.shape[2...].map { $0 / 2 }, VOXEL_HALF_SIZE) { columns in
            { gradient, block, item, row, target in
                let source = gradient.block(block, of: item) + row / 2 * (columns / 2) * Block.lanes
                Block.kernels.activate(
                    source, nil, columns, quarter.start, quarter.start + Block.lanes, false, VOXEL_DOUBLE_SIZE,
                    target)
            }
        }
    }

    /// Every element repeated along each spatial axis; nil for other than two axes.
    func upsampled(_ x: Value) -> Value? {
        resampled(x, extents: x.shape[2...].map { $0 * 2 }, VOXEL_DOUBLE_SIZE) { columns in
            { gradient, block, item, row, target in
                let source = gradient.block(block, of: item) + 2 * row * (2 * columns) * Block.lanes
                Block.kernels.activate(
                    source, source + 2 * columns * Block.lanes, columns, four.start, four.start + Block.lanes,
                    false, VOXEL_HALF_SIZE, target)
            }
        }
    }

    /// Writes one row of one block of one image from a gradient.
    private typealias BackwardRow =
        @Sendable (
            _ gradient: BlockedTensor, _ block: Int, _ item: Int, _ row: Int,
            _ target: UnsafeMutablePointer<Float>
        ) -> Void

    private func resampled(
        _ x: Value, extents: [Int], _ resampling: voxel_resampling, back: (_ columns: Int) -> BackwardRow
    ) -> Value? {
        guard extents.count == 2, !x.isTokens else { return nil }
        let (data, columns) = (x.data, x.shape[3])
        let result = empty(channels: data.channels, like: data, pixels: extents[0] * extents[1])
        let stride = columns * Block.lanes
        forEachRow(of: result, columns: extents[1]) { block, item, row, target in
            let first = resampling == VOXEL_HALF_SIZE ? 2 * row : row / 2
            let source = data.block(block, of: item) + first * stride
            Block.kernels.activate(source, source + stride, extents[1], nil, nil, false, resampling, target)
        }
        let backwardRow = back(columns)
        return record(result, shape: x.shape[..<2] + extents, isTokens: false, from: [x]) { [self] gradient in
            let back = empty(channels: data.channels, like: data)
            forEachRow(of: back, columns: columns) { backwardRow(gradient, $0, $1, $2, $3) }
            add(back, to: x)
        }
    }

    /// Calls `body` for each row of each block of each image.
    private func forEachRow(
        of data: BlockedTensor, columns: Int,
        _ body: @Sendable (_ block: Int, _ item: Int, _ row: Int, _ target: UnsafeMutablePointer<Float>) -> Void
    ) {
        forEachImage(of: data) { block, item in
            for row in 0..<data.pixels / columns {
                body(block, item, row, data.block(block, of: item) + row * columns * Block.lanes)
            }
        }
    }

    /// Every second row and column of an image: what a convolution of stride 2 leaves of one of stride 1.
    func everySecond(_ x: Value) -> Value {
        let (rows, columns) = ((x.shape[2] + 1) / 2, (x.shape[3] + 1) / 2)
        let data = x.data
        let result = empty(channels: data.channels, like: data, pixels: rows * columns)
        let stride = x.shape[3] * Block.lanes
        forEachRow(of: result, columns: columns) { block, item, row, target in
            let source = data.block(block, of: item) + 2 * row * stride
            for column in 0..<columns {
                (target + column * Block.lanes).update(
                    from: source + 2 * column * Block.lanes, count: Block.lanes)
            }
        }
        return record(result, shape: x.shape[..<2] + [rows, columns], isTokens: false, from: [x]) {
            [self] gradient in
            let back = data.zeros(from: memory)
            forEachRow(of: gradient, columns: columns) { block, item, row, source in
                let target = back.block(block, of: item) + 2 * row * stride
                for column in 0..<columns {
                    (target + 2 * column * Block.lanes).update(
                        from: source + column * Block.lanes, count: Block.lanes)
                }
            }
            add(back, to: x)
        }
    }
}

/// A scale and no shift, for each of sixteen channels.
private func scale(_ factor: Float) -> FloatBuffer {
    FloatBuffer([Float](repeating: factor, count: Block.lanes) + [Float](repeating: 0, count: Block.lanes))
}

private let quarter = scale(0.25)
private let four = scale(4)
