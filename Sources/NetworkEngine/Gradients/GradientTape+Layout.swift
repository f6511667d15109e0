import CVoxelKernels

extension GradientTape {
    /// Channels or images joined; nil for another axis.
    func concatenated(_ parts: [Value], axis: Int, shape: [Int]) -> Value? {
        if axis == 0 { return concatenatedItems(parts, shape: shape) }
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
        return record(result, shape: shape, isTokens: parts[0].isTokens, from: parts) {
            [unowned self] gradient in
            for (part, place) in zip(parts, places) { add(extract(Array(place), of: gradient), to: part) }
        }
    }

    /// Some channels or images; nil for another axis.
    func slice(_ x: Value, axis: Int, _ range: Range<Int>, shape: [Int]) -> Value? {
        if axis == 0 { return slicedItems(x, range, shape: shape) }
        guard axis == channelAxis(x) else { return nil }
        let channels = (0..<x.data.channels).filter { range.contains($0 % x.shape[axis]) }
        let result = extract(channels, of: x.data)
        return record(result, shape: shape, isTokens: x.isTokens, from: [x]) { [unowned self] gradient in
            let back = x.data.zeros(from: memory)
            copy(gradient, Array(channels.indices), to: back, channels)
            add(back, to: x)
        }
    }

    private func concatenatedItems(_ parts: [Value], shape: [Int]) -> Value {
        let data = parts[0].data
        let result = BlockedTensor(
            channels: data.channels, batch: shape[0], pixels: data.pixels, from: memory)
        var first = 0
        for part in parts {
            copyItems(0..<part.data.batch, of: part.data, to: result, from: first)
            first += part.data.batch
        }
        return record(result, shape: shape, isTokens: parts[0].isTokens, from: parts) {
            [unowned self] gradient in
            var first = 0
            for part in parts {
                add(items(first..<first + part.data.batch, of: gradient), to: part)
                first += part.data.batch
            }
        }
    }

    private func slicedItems(_ x: Value, _ range: Range<Int>, shape: [Int]) -> Value {
        record(items(range, of: x.data), shape: shape, isTokens: x.isTokens, from: [x]) {
            [unowned self] gradient in
            let back = x.data.zeros(from: memory)
            copyItems(0..<range.count, of: gradient, to: back, from: range.lowerBound)
            add(back, to: x)
        }
    }

    private func items(_ range: Range<Int>, of data: BlockedTensor) -> BlockedTensor {
        let result = BlockedTensor(
            channels: data.channels, batch: range.count, pixels: data.pixels, from: memory)
        copyItems(range, of: data, to: result, from: 0)
        return result
    }

    private func copyItems(
        _ range: Range<Int>, of source: BlockedTensor, to target: BlockedTensor, from first: Int
    ) {
        for block in 0..<source.blockCount {
            target.block(block, of: first).update(
                from: source.block(block, of: range.lowerBound),
                count: range.count * source.pixels * Block.lanes)
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
        guard x.shape.count == 4 else { return nil }
        let size = Extents(x.shape[2...])
        let half = Extents(rows: size.rows / 2, columns: size.columns / 2)
        return resampled(x, to: half) { source, _, row, target in
            let first = source + 2 * row * size.columns * Block.lanes
            Block.kernels.activate(
                first, first + size.columns * Block.lanes, half.columns, nil, nil, false, VOXEL_HALF_SIZE,
                target)
        } back: { gradient, _, row, target in
            Block.kernels.activate(
                gradient + row / 2 * half.columns * Block.lanes, nil, size.columns, quarter.start,
                quarter.start + Block.lanes, false, VOXEL_DOUBLE_SIZE, target)
        }
    }

    /// Every element repeated along each spatial axis; nil for other than two or three axes.
    func upsampled(_ x: Value) -> Value? {
        guard (4...5).contains(x.shape.count) else { return nil }
        let size = Extents(x.shape[2...])
        // Slices have one plane before and after.
        let planes = x.shape.count == 5 ? 2 : 1
        let full = Extents(planes: planes * size.planes, rows: 2 * size.rows, columns: 2 * size.columns)
        return resampled(x, to: full) { source, plane, row, target in
            let first = source + (plane / planes * size.rows + row / 2) * size.columns * Block.lanes
            Block.kernels.activate(first, nil, full.columns, nil, nil, false, VOXEL_DOUBLE_SIZE, target)
        } back: { gradient, plane, row, target in
            let width = full.columns * Block.lanes
            for index in 0..<planes {
                let first = gradient + ((planes * plane + index) * full.rows + 2 * row) * width
                if index == 0 {
                    Block.kernels.activate(
                        first, first + width, size.columns, four.start, four.start + Block.lanes, false,
                        VOXEL_HALF_SIZE, target)
                } else {
                    addPairs(first, first + width, columns: size.columns, to: target)
                }
            }
        }
    }

    /// Writes one row of one block of one image from all of another.
    private typealias RowMap =
        @Sendable (
            _ source: UnsafeMutablePointer<Float>, _ plane: Int, _ row: Int,
            _ target: UnsafeMutablePointer<Float>
        ) -> Void

    private func resampled(
        _ x: Value, to size: Extents, forward: RowMap, back: @escaping RowMap
    ) -> Value? {
        guard !x.isTokens else { return nil }
        let (data, from) = (x.data, Extents(x.shape[2...]))
        let result = empty(channels: data.channels, like: data, pixels: size.pixels)
        forEachRow(of: result, columns: size.columns) { block, item, row, target in
            forward(data.block(block, of: item), row / size.rows, row % size.rows, target)
        }
        let shape = x.shape[..<2] + [size.planes, size.rows, size.columns].suffix(x.shape.count - 2)
        return record(result, shape: Array(shape), isTokens: false, from: [x]) { [unowned self] gradient in
            let slopes = empty(channels: data.channels, like: data)
            forEachRow(of: slopes, columns: from.columns) { block, item, row, target in
                back(gradient.block(block, of: item), row / from.rows, row % from.rows, target)
            }
            add(slopes, to: x)
        }
    }

    /// Calls `body` for each row of each block of each image.
    private func forEachRow(
        of data: BlockedTensor, columns: Int,
        _ body: @Sendable (_ block: Int, _ item: Int, _ row: Int, _ target: UnsafeMutablePointer<Float>) -> Void
    ) {
        let rows = data.pixels / columns
        workers.split(data.blockCount * data.batch * rows) { range, _ in
            for index in range {
                let (image, row) = index.quotientAndRemainder(dividingBy: rows)
                let (block, item) = image.quotientAndRemainder(dividingBy: data.batch)
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
            [unowned self] gradient in
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

/// Adds the sums of 2 x 2 pixels of two rows.
private func addPairs(
    _ upper: UnsafePointer<Float>, _ lower: UnsafePointer<Float>, columns: Int,
    to target: UnsafeMutablePointer<Float>
) {
    for column in 0..<columns {
        for row in [upper, lower] {
            for pixel in 2 * column..<2 * column + 2 {
                Block.kernels.add(target + column * Block.lanes, row + pixel * Block.lanes, nil, 1)
            }
        }
    }
}

private let quarter = scale(0.25)
private let four = scale(4)
