import CVoxelKernels

extension GradientTape {
    func reshaped(_ x: Value, _ shape: [Int]) -> Value { view(x, shape: shape, isTokens: x.isTokens) }

    func transposed(_ x: Value) -> Value {
        precondition(x.shape.count == 3, "only [batch, rows, columns] can be transposed, not \(x.shape)")
        return view(x, shape: [x.shape[0], x.shape[2], x.shape[1]], isTokens: !x.isTokens)
    }

    /// The same numbers, read otherwise.
    func view(_ x: Value, shape: [Int], isTokens: Bool) -> Value {
        record(x.data, shape: shape, isTokens: isTokens, from: [x]) { [self] in add($0, to: x) }
    }

    func concatenated(_ parts: [Value], axis: Int) -> Value {
        precondition(axis == channelAxis(parts[0]), "only channels can be joined")
        var shape = parts[0].shape
        shape[axis] = parts.reduce(0) { $0 + $1.shape[axis] }
        let channels = parts.reduce(0) { $0 + $1.data.channels }
        let result = room(channels: channels, like: parts[0].data)
        var places: [Range<Int>] = []
        for part in parts {
            let first = places.last?.upperBound ?? 0
            places.append(first..<first + part.data.channels)
            copy(part.data, Array(0..<part.data.channels), to: result, Array(places[places.count - 1]))
        }
        clearPadding(of: result)
        return record(result, shape: shape, isTokens: parts[0].isTokens, from: parts) { [self] gradient in
            for (part, place) in zip(parts, places) {
                add(extract(Array(place), of: gradient), to: part)
            }
        }
    }

    func slice(_ x: Value, axis: Int, _ range: Range<Int>) -> Value {
        precondition(axis == channelAxis(x), "only channels can be split")
        var shape = x.shape
        let extent = shape[axis]
        shape[axis] = range.count
        let channels = (0..<x.data.channels).filter { range.contains($0 % extent) }
        let result = extract(channels, of: x.data)
        return record(result, shape: shape, isTokens: x.isTokens, from: [x]) { [self] gradient in
            let back = x.data.zeros(from: memory)
            copy(gradient, Array(channels.indices), to: back, channels)
            add(back, to: x)
        }
    }

    /// Where the channels are: the last axis of tokens and vectors, the second of images.
    private func channelAxis(_ x: Value) -> Int { x.isTokens ? x.shape.count - 1 : 1 }

    private func extract(_ channels: [Int], of data: BlockedTensor) -> BlockedTensor {
        let result = room(channels: channels.count, like: data)
        copy(data, channels, to: result, Array(channels.indices))
        clearPadding(of: result)
        return result
    }

    /// Copies some channels, block by block where they lie so.
    private func copy(_ source: BlockedTensor, _ from: [Int], to target: BlockedTensor, _ to: [Int]) {
        var index = 0
        while index < from.count {
            let (origin, place) = (from[index], to[index])
            let isBlock =
                origin % lanes == 0 && place % lanes == 0 && index + lanes <= from.count
                && from[index + lanes - 1] == origin + lanes - 1 && to[index + lanes - 1] == place + lanes - 1
            let source = source.block(origin / lanes) + origin % lanes
            let result = target.block(place / lanes) + place % lanes
            if isBlock {
                workers.split(target.batchPixels, by: lanes) { pixels, _ in
                    let offset = pixels.lowerBound * lanes
                    (result + offset).update(from: source + offset, count: pixels.count * lanes)
                }
                index += lanes
            } else {
                for pixel in 0..<target.batchPixels { result[pixel * lanes] = source[pixel * lanes] }
                index += 1
            }
        }
    }

    /// Zeros what the last block holds beyond the last channel.
    private func clearPadding(of data: BlockedTensor) {
        let used = data.channels % lanes
        guard used > 0 else { return }
        let last = data.block(data.blockCount - 1)
        for pixel in 0..<data.batchPixels {
            (last + pixel * lanes + used).update(repeating: 0, count: lanes - used)
        }
    }

    func averagePooled(_ x: Value) -> Value {
        resampled(x, extents: x.shape[2...].map { $0 / 2 }, VOXEL_HALF_SIZE) { [self] gradient, columns in
            let back = room(channels: x.data.channels, like: x.data)
            forEachRow(of: back, columns: x.shape[3]) { block, item, row, target in
                let source = gradient.block(block, of: item) + row / 2 * columns * lanes
                kernels.activate(
                    source, nil, x.shape[3], quarter.start, quarter.start + lanes, false, VOXEL_DOUBLE_SIZE,
                    target)
            }
            return back
        }
    }

    func upsampled(_ x: Value) -> Value {
        resampled(x, extents: x.shape[2...].map { $0 * 2 }, VOXEL_DOUBLE_SIZE) { [self] gradient, columns in
            let back = room(channels: x.data.channels, like: x.data)
            forEachRow(of: back, columns: x.shape[3]) { block, item, row, target in
                let source = gradient.block(block, of: item) + 2 * row * columns * lanes
                kernels.activate(
                    source, source + columns * lanes, x.shape[3], four.start, four.start + lanes, false,
                    VOXEL_HALF_SIZE, target)
            }
            return back
        }
    }

    private func resampled(
        _ x: Value, extents: [Int], _ resampling: voxel_resampling,
        back: @escaping (BlockedTensor, _ columns: Int) -> BlockedTensor
    ) -> Value {
        precondition(extents.count == 2, "only images of two dimensions are resampled")
        let result = room(channels: x.data.channels, like: x.data, pixels: extents[0] * extents[1])
        let stride = x.shape[3] * lanes
        forEachRow(of: result, columns: extents[1]) { block, item, row, target in
            let first = resampling == VOXEL_HALF_SIZE ? 2 * row : row / 2
            let source = x.data.block(block, of: item) + first * stride
            kernels.activate(source, source + stride, extents[1], nil, nil, false, resampling, target)
        }
        return record(result, shape: x.shape[..<2] + extents, isTokens: false, from: [x]) { [self] gradient in
            add(back(gradient, extents[1]), to: x)
        }
    }

    /// Calls `body` for each row of each block of each image.
    private func forEachRow(
        of data: BlockedTensor, columns: Int,
        _ body: (_ block: Int, _ item: Int, _ row: Int, _ target: UnsafeMutablePointer<Float>) -> Void
    ) {
        forEachImage(of: data) { block, item in
            for row in 0..<data.pixels / columns {
                body(block, item, row, data.block(block, of: item) + row * columns * lanes)
            }
        }
    }

    /// Every second row and column of an image: what a convolution of stride 2 leaves of one of stride 1.
    func everySecond(_ x: Value) -> Value {
        let (rows, columns) = ((x.shape[2] + 1) / 2, (x.shape[3] + 1) / 2)
        let result = room(channels: x.data.channels, like: x.data, pixels: rows * columns)
        let stride = x.shape[3] * lanes
        forEachRow(of: result, columns: columns) { block, item, row, target in
            let source = x.data.block(block, of: item) + 2 * row * stride
            for column in 0..<columns {
                (target + column * lanes).update(from: source + 2 * column * lanes, count: lanes)
            }
        }
        return record(result, shape: x.shape[..<2] + [rows, columns], isTokens: false, from: [x]) {
            [self] gradient in
            let back = x.data.zeros(from: memory)
            forEachRow(of: gradient, columns: columns) { block, item, row, source in
                let target = back.block(block, of: item) + 2 * row * stride
                for column in 0..<columns {
                    (target + 2 * column * lanes).update(from: source + column * lanes, count: lanes)
                }
            }
            add(back, to: x)
        }
    }
}

/// A scale and no shift, for each of sixteen channels.
private func scale(_ factor: Float) -> FloatBuffer {
    FloatBuffer([Float](repeating: factor, count: lanes) + [Float](repeating: 0, count: lanes))
}

private let quarter = scale(0.25)
private let four = scale(4)
