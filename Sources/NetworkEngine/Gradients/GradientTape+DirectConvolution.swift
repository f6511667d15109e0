import CVoxelKernels
import Networks
import TensorFiles

/// Convolutions of any kernel, with a stride of 1 or 2.
extension GradientTape {
    /// A convolution; nil where the zeros around the image are as wide as the kernel.
    func directlyConvolved(
        _ x: Value, _ layer: Convolution, _ geometry: KernelGeometry, _ size: Extents, shape: [Int]
    ) -> Value? {
        guard let phases = geometry.backwardPhases(of: size) else { return nil }
        let weight = parameter(layer.weight)
        let resultSize = Extents(shape[2...])
        let result = directlyConvolved(
            x.data, weight, bias: layer.bias.map(parameter), geometry, from: size, to: resultSize)
        return record(result, shape: shape, isTokens: false, from: [x], parameters: layer.parameters) {
            [unowned self] gradient in
            add(directGradient(gradient, weight, phases, from: resultSize, to: size), to: x)
            add(directWeightGradient(gradient, x.data, geometry, size, resultSize), to: layer.weight)
            if let bias = layer.bias { add(channelSums(gradient), to: bias) }
        }
    }

    private func directlyConvolved(
        _ x: BlockedTensor, _ weight: Tensor, bias: Tensor?, _ geometry: KernelGeometry, from size: Extents,
        to resultSize: Extents
    ) -> BlockedTensor {
        let packed = PackedConvolution(weight, bias: bias, geometry: geometry, form: .direct, from: memory)
        let convolution = DirectConvolution(weights: packed, image: size, size: resultSize)
        let result = empty(channels: packed.outputs, like: x, pixels: resultSize.pixels)
        forEachItem(of: x, scratchSize: convolution.scratchSize) { item, scratch, pool in
            convolution.run(
                scratch: scratch, pool: pool, into: result.place(of: item), stride: result.stride,
                moments: (0..<result.blockCount).map { _ in nil },
                reading: { plane, row, block, target in
                    x.copyRow(plane * size.rows + row, columns: size.columns, of: block, item, to: target)
                },
                finishing: { block, _ in packed.bias(of: block) })
        }
        return result
    }

    /// The gradient of the image. With a stride of 2 each pixel has met every second place of the kernel: pixels of each
    /// phase are a convolution of the result's gradient with those places alone.
    private func directGradient(
        _ gradient: BlockedTensor, _ weight: Tensor, _ phases: [KernelGeometry.Phase], from size: Extents,
        to imageSize: Extents
    ) -> BlockedTensor {
        let rotated = weight.rotatedKernels()
        if let only = phases.first, phases.count == 1 {
            return directlyConvolved(
                gradient, rotated, bias: nil, only.geometry, from: size, to: imageSize)
        }
        let result = BlockedTensor(
            channels: rotated.shape[0], batch: gradient.batch, pixels: imageSize.pixels, from: memory)
        for phase in phases where phase.size.pixels > 0 {
            let part =
                phase.geometry.places == 0
                ? nil
                : directlyConvolved(
                    gradient, rotated.places(of: phase), bias: nil, phase.geometry, from: size, to: phase.size)
            let stride = phase.stride * Block.lanes
            let rows = phase.size.planes * phase.size.rows
            workers.split(result.blockCount * result.batch * rows) { range, _ in
                for index in range {
                    let (image, row) = index.quotientAndRemainder(dividingBy: rows)
                    let (block, item) = image.quotientAndRemainder(dividingBy: result.batch)
                    let target =
                        result.block(block, of: item)
                        + phase.pixel(row: row, of: imageSize) * Block.lanes
                    let source = part.map {
                        $0.block(block, of: item) + row * phase.size.columns * Block.lanes
                    }
                    for column in 0..<phase.size.columns {
                        guard let source else {
                            (target + column * stride).update(repeating: 0, count: Block.lanes)
                            continue
                        }
                        (target + column * stride).update(
                            from: source + column * Block.lanes, count: Block.lanes)
                    }
                }
            }
        }
        return result
    }

    /// The gradient of the kernels, `[outputs, inputs, places...]`: for each place, the product of the result's gradient
    /// with the pixels of the image that the place has met.
    private func directWeightGradient(
        _ gradient: BlockedTensor, _ x: BlockedTensor, _ geometry: KernelGeometry, _ size: Extents,
        _ resultSize: Extents
    ) -> [Float] {
        let strips = DirectGradientStrips(
            inputBlocks: x.blockCount, outputBlocks: gradient.blockCount, geometry: geometry, image: size,
            size: resultSize)
        let outputRows = gradient.blockCount * Block.lanes
        let placeStride = x.blockCount * outputRows * Block.lanes
        let sums = FloatBuffer(uninitialized: geometry.places * placeStride, from: memory)
        let (input, output, transposed) = (
            FloatBuffer(uninitialized: strips.inputSize, from: memory),
            FloatBuffer(uninitialized: strips.outputSize, from: memory),
            FloatBuffer(uninitialized: strips.outputSize, from: memory)
        )
        input.start.update(repeating: 0, count: input.count)
        let row = FloatBuffer(uninitialized: workers.threads * size.columns * Block.lanes, from: memory)
        var isFirst = true
        for (item, plane) in (0..<x.batch).flatMap({ i in (0..<resultSize.planes).map { (i, $0) } }) {
            for rows in strips.chunks {
                workers.split(x.blockCount + gradient.blockCount) { blocks, worker in
                    let memory = row.start + worker * size.columns * Block.lanes
                    for block in blocks {
                        if block < x.blockCount {
                            strips.fill(input.start, from: x, block, item, plane: plane, rows, row: memory)
                        } else {
                            strips.fill(
                                output.start, transposed: transposed.start, from: gradient,
                                block - x.blockCount, item, plane: plane, rows)
                        }
                    }
                }
                let pixelBlocks = strips.pixelBlocks(rows)
                let adding = !isFirst
                workers.split(geometry.places) { range, _ in
                    let places = Block.starts(
                        transposed.start, count: pixelBlocks, stride: outputRows * Block.lanes)
                    for place in range {
                        Block.kernels.multiply(
                            outputRows, x.blockCount, pixelBlocks, places, 0, Block.lanes,
                            input.start + strips.offset(ofPlace: place), strips.inputStride,
                            sums.start + place * placeStride, outputRows * Block.lanes, adding)
                    }
                }
                isFirst = false
            }
        }
        let (outputs, inputs, places) = (gradient.channels, x.channels, geometry.places)
        return [Float](unsafeUninitializedCapacity: outputs * inputs * places) { values, count in
            for output in 0..<outputs {
                for input in 0..<inputs {
                    let start =
                        sums.start + (input / Block.lanes * outputRows + output) * Block.lanes
                        + input % Block.lanes
                    for place in 0..<places {
                        values[(output * inputs + input) * places + place] = start[place * placeStride]
                    }
                }
            }
            count = outputs * inputs * places
        }
    }
}

/// What a chunk of rows of a plane of a convolution's result needs for the gradient of the kernels.
///
/// All pixels of a chunk lie in a row, as many columns wide as the image under it, so that each place of the kernel is
/// the same rows of the image seen from another pixel. With a stride of 2, rows and columns of the image are sorted by
/// whether they are even.
private struct DirectGradientStrips: Sendable {
    private let inputBlocks, outputBlocks: Int
    private let geometry: KernelGeometry
    private let image, size: Extents
    private let chunkRows: Int
    /// Rows and columns of a phase of a plane of the image under a chunk.
    private let rows, columns: Int

    /// About the pixels of a chunk: enough for the sums over them to be small work.
    private static let chunkPixels = 512

    init(inputBlocks: Int, outputBlocks: Int, geometry: KernelGeometry, image: Extents, size: Extents) {
        (self.inputBlocks, self.outputBlocks) = (inputBlocks, outputBlocks)
        (self.geometry, self.image, self.size) = (geometry, image, size)
        func beyond(_ kernel: Int) -> Int { (kernel - 1) / geometry.stride }
        columns = size.columns + beyond(geometry.kernel.columns)
        chunkRows = max(1, min(size.rows, Self.chunkPixels / columns))
        rows = chunkRows + beyond(geometry.kernel.rows)
    }

    var chunks: [Range<Int>] {
        stride(from: 0, to: size.rows, by: chunkRows).map { $0..<min($0 + chunkRows, size.rows) }
    }

    private var phases: Int { geometry.stride * geometry.stride }
    private var phaseSize: Int { rows * columns * Block.lanes }
    /// From one block of the image to the next.
    var inputStride: Int { geometry.kernel.planes * phases * phaseSize }
    /// Products read up to sixteen rows too far, which they multiply by zeros.
    var inputSize: Int { inputBlocks * inputStride + Block.lanes * Block.lanes }
    var outputSize: Int { outputBlocks * pixelBlocks(0..<chunkRows) * Block.lanes * Block.lanes }

    /// The pixels of a chunk in blocks of sixteen. The last row ends with its last pixel.
    func pixelBlocks(_ rows: Range<Int>) -> Int { Block.count((rows.count - 1) * columns + size.columns) }

    /// Where the pixels that a place of the kernel meets begin.
    func offset(ofPlace place: Int) -> Int {
        let (kernel, stride) = (geometry.kernel, geometry.stride)
        let (row, column) = (place / kernel.columns % kernel.rows, place % kernel.columns)
        let plane = place / (kernel.rows * kernel.columns)
        let phase = plane * phases + row % stride * stride + column % stride
        return phase * phaseSize + (row / stride * columns + column / stride) * Block.lanes
    }

    /// Writes the rows of a block of the image under some rows of a plane of the result, `[planes][phases][rows][columns]`,
    /// with zeros where they lie outside.
    func fill(
        _ input: UnsafeMutablePointer<Float>, from x: BlockedTensor, _ block: Int, _ item: Int, plane: Int,
        _ chunk: Range<Int>, row source: UnsafeMutablePointer<Float>
    ) {
        let (kernel, stride, before) = (geometry.kernel, geometry.stride, geometry.before)
        for tap in 0..<kernel.planes {
            let plane = plane * stride + tap - before.planes
            for index in 0..<stride * rows {
                let row = chunk.lowerBound * stride + index - before.rows
                let start = input + block * inputStride + (tap * phases + index % stride * stride) * phaseSize
                let isInside = (0..<image.planes).contains(plane) && (0..<image.rows).contains(row)
                if isInside {
                    x.copyRow(
                        plane * image.rows + row, columns: image.columns, of: block, item, to: source)
                }
                for phase in 0..<stride {
                    let target = start + phase * phaseSize + index / stride * columns * Block.lanes
                    for column in 0..<columns {
                        let place = column * stride + phase - before.columns
                        if isInside && (0..<image.columns).contains(place) {
                            (target + column * Block.lanes).update(
                                from: source + place * Block.lanes, count: Block.lanes)
                        } else {
                            (target + column * Block.lanes).update(repeating: 0, count: Block.lanes)
                        }
                    }
                }
            }
        }
    }

    /// Writes some rows of a plane of a block of the gradient, zeros between them, and transposes them to
    /// `[pixel blocks][outputs][16]`.
    func fill(
        _ output: UnsafeMutablePointer<Float>, transposed: UnsafeMutablePointer<Float>,
        from gradient: BlockedTensor, _ block: Int, _ item: Int, plane: Int, _ chunk: Range<Int>
    ) {
        let pixelBlocks = pixelBlocks(chunk)
        let size = pixelBlocks * Block.lanes * Block.lanes
        let strip = output + block * self.pixelBlocks(0..<chunkRows) * Block.lanes * Block.lanes
        for (index, row) in chunk.enumerated() {
            let target = strip + index * columns * Block.lanes
            gradient.copyRow(
                plane * self.size.rows + row, columns: self.size.columns, of: block, item, to: target)
            let end = (index * columns + self.size.columns) * Block.lanes
            let next = index + 1 < chunk.count ? (index + 1) * columns * Block.lanes : size
            (strip + end).update(repeating: 0, count: next - end)
        }
        for pixels in 0..<pixelBlocks {
            Block.kernels.transpose(
                strip + pixels * Block.lanes * Block.lanes, Block.lanes,
                transposed + (pixels * outputBlocks + block) * Block.lanes * Block.lanes, Block.lanes)
        }
    }
}

extension KernelGeometry {
    /// The pixels of an image that have met the same places of a kernel: every pixel with a stride of 1, and with a stride
    /// of 2 every second along each axis.
    struct Phase {
        /// How the result's gradient is convolved for them.
        let geometry: KernelGeometry
        /// Their number.
        let size: Extents
        /// From one of them to the next, and the first.
        let stride: Int
        let first: Extents
        /// For each axis the places of the rotated kernel.
        let planes, rows, columns: [Int]

        /// The first of them in a row.
        func pixel(row: Int, of image: Extents) -> Int {
            let (plane, row) = row.quotientAndRemainder(dividingBy: size.rows)
            return
                ((first.planes + plane * stride) * image.rows + first.rows + row * stride) * image.columns
                + first.columns
        }
    }

    /// The phases of an image; nil where the zeros before it are as wide as the kernel.
    func backwardPhases(of image: Extents) -> [Phase]? {
        let axes: [KeyPath<Extents, Int>] = [\.planes, \.rows, \.columns]
        let all = axes.map { axis in
            (0..<stride).map {
                AxisPhase(
                    $0, kernel: kernel[keyPath: axis], stride: stride, before: before[keyPath: axis],
                    extent: image[keyPath: axis])
            }
        }
        guard all.joined().allSatisfy({ $0.before >= 0 }) else { return nil }
        return all[0].flatMap { plane in
            all[1].flatMap { row in
                all[2].map { column in
                    func extents(_ value: (AxisPhase) -> Int) -> Extents {
                        Extents(planes: value(plane), rows: value(row), columns: value(column))
                    }
                    let before = extents(\.before)
                    return Phase(
                        geometry: KernelGeometry(
                            kernel: extents(\.places.count), stride: 1, before: before, after: before),
                        size: extents(\.count), stride: stride, first: extents(\.first), planes: plane.places,
                        rows: row.places, columns: column.places)
                }
            }
        }
    }
}

/// The pixels of an axis that have met the same places of a kernel.
private struct AxisPhase {
    /// The places of the rotated kernel.
    let places: [Int]
    let first, count: Int
    /// Zeros before the result's gradient.
    let before: Int

    /// Pixel i has met place t where i + before - t is a multiple of the stride; those of one phase have (i + before) mod
    /// stride in common.
    init(_ phase: Int, kernel: Int, stride: Int, before: Int, extent: Int) {
        places = (0..<kernel).filter { $0 % stride == phase }.map { kernel - 1 - $0 }.reversed()
        first = ((phase - before) % stride + stride) % stride
        count = max(0, (extent - first + stride - 1) / stride)
        self.before = places.isEmpty ? 0 : places.count - 1 - (first + before - phase) / stride
    }
}

extension Tensor {
    /// Some places of kernels, `[outputs, inputs, planes, rows, columns]`, or of fewer axes, as a kernel of three axes.
    fileprivate func places(of phase: KernelGeometry.Phase) -> Tensor {
        let kernel = Extents(shape[2...])
        let places = phase.planes.flatMap { plane in
            phase.rows.flatMap { row in
                phase.columns.map { (plane * kernel.rows + row) * kernel.columns + $0 }
            }
        }
        let pairs = shape[0] * shape[1]
        return Tensor(
            shape: [shape[0], shape[1], phase.planes.count, phase.rows.count, phase.columns.count]
        ) { result in
            values.withUnsafeBufferPointer { values in
                for pair in 0..<pairs {
                    for (index, place) in places.enumerated() {
                        result[pair * places.count + index] = values[pair * kernel.pixels + place]
                    }
                }
            }
        }
    }
}
