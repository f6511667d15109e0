import CVoxelKernels
import Networks

extension GradientTape {
    /// The gradient of the kernels of a direct convolution, `[outputs, inputs, places...]`: for each place, the product of
    /// the result's gradient with the pixels of the image that the place has met.
    ///
    /// An image goes through in slabs of planes of the result. Threads share the outputs.
    func directWeightGradient(
        _ gradient: BlockedTensor, _ numbers: Numbers, _ geometry: KernelGeometry, _ size: Extents,
        _ resultSize: Extents
    ) -> [Float] {
        let x = numbers.like
        let slabs = DirectSlabs(x, gradient, geometry, size, resultSize)
        let places = geometry.places
        // Sums of a group of outputs lie together: `[groups][places][input blocks][outputs of the group][16]`.
        let groupStride = places * x.blockCount * slabs.groupRows * Block.lanes
        let sums = FloatBuffer(uninitialized: slabs.groups * groupStride, from: memory)
        let input = FloatBuffer(uninitialized: slabs.inputSize, from: memory)
        let output = FloatBuffer(uninitialized: slabs.outputSize, from: memory)
        let strips = FloatBuffer(uninitialized: workers.threads * slabs.stripSize, from: memory)
        let (outputs, inputs) = (gradient.channels, x.channels)
        return [Float](unsafeUninitializedCapacity: outputs * inputs * places) { values, count in
            // Each worker writes the kernels of its own outputs.
            nonisolated(unsafe) let values = values
            for item in 0..<x.batch {
                for planes in slabs.all {
                    slabs.fill(input, output, from: numbers, gradient, item, planes, strips: strips, workers)
                    let isFirst = item == 0 && planes.lowerBound == 0
                    let isLast = item == x.batch - 1 && planes.upperBound == resultSize.planes
                    workers.split(slabs.groups) { groups, _ in
                        for group in groups {
                            let start = sums.start + group * groupStride
                            slabs.multiply(group, planes, input, output, into: start, adding: !isFirst)
                            guard isLast, let result = values.baseAddress else { continue }
                            for output in slabs.rows(of: group) where output < outputs {
                                for block in 0..<x.blockCount {
                                    let row = block * slabs.groupRows + output - group * slabs.groupRows
                                    Block.kernels.unpack(
                                        start + row * Block.lanes,
                                        x.blockCount * slabs.groupRows * Block.lanes, places,
                                        min(Block.lanes, inputs - block * Block.lanes),
                                        result + (output * inputs + block * Block.lanes) * places, places)
                                }
                            }
                        }
                    }
                }
            }
            count = outputs * inputs * places
        }
    }
}

/// How an image and the gradient of a direct convolution's result are cut into slabs of planes for the gradient of the
/// kernels.
///
/// All pixels of a plane of the result lie in a row, as many columns wide as the image with its zeros, so that each place
/// of the kernel is the same plane of the image seen from another pixel. With a stride of 2, rows and columns of the image
/// are sorted by whether they are even.
private struct DirectSlabs: Sendable {
    private let inputBlocks, outputBlocks: Int
    private let geometry: KernelGeometry
    private let image, size: Extents
    /// Rows and columns of a phase of a plane of the image, zeros included.
    private let rows, columns: Int
    /// Planes of the result in a slab.
    private let slabPlanes: Int
    /// Outputs that a thread computes at a time.
    let groupRows: Int

    /// About the numbers of the image in a slab.
    private static let slabSize = 1 << 21

    init(
        _ x: BlockedTensor, _ gradient: BlockedTensor, _ geometry: KernelGeometry, _ image: Extents,
        _ size: Extents
    ) {
        (inputBlocks, outputBlocks) = (x.blockCount, gradient.blockCount)
        (self.geometry, self.image, self.size) = (geometry, image, size)
        func beyond(_ kernel: Int) -> Int { (kernel - 1) / geometry.stride }
        columns = size.columns + beyond(geometry.kernel.columns)
        rows = size.rows + beyond(geometry.kernel.rows)
        let planeSize = x.blockCount * geometry.stride * geometry.stride * rows * columns * Block.lanes
        let imagePlanes = max(geometry.kernel.planes, Self.slabSize / planeSize)
        slabPlanes = min(size.planes, (imagePlanes - geometry.kernel.planes) / geometry.stride + 1)
        groupRows = gradient.blockCount > 1 ? 2 * Block.lanes : Block.lanes
    }

    var all: [Range<Int>] {
        stride(from: 0, to: size.planes, by: slabPlanes).map { $0..<min($0 + slabPlanes, size.planes) }
    }

    var groups: Int { (outputBlocks * Block.lanes + groupRows - 1) / groupRows }
    func rows(of group: Int) -> Range<Int> {
        group * groupRows..<min((group + 1) * groupRows, outputBlocks * Block.lanes)
    }

    private var phases: Int { geometry.stride * geometry.stride }
    private var phaseSize: Int { rows * columns * Block.lanes }
    private var imagePlanes: Int { (slabPlanes - 1) * geometry.stride + geometry.kernel.planes }
    /// From one block of the image to the next, and from one plane of the gradient to the next.
    private var inputStride: Int { imagePlanes * phases * phaseSize }
    private var outputStride: Int { pixelBlocks * outputBlocks * Block.lanes * Block.lanes }
    /// The pixels of a plane in blocks of sixteen. The last row ends with its last pixel.
    private var pixelBlocks: Int { Block.count((size.rows - 1) * columns + size.columns) }

    /// Products read up to fifteen pixels too far, which they multiply by zeros.
    var inputSize: Int { inputBlocks * inputStride + Block.lanes * Block.lanes }
    var outputSize: Int { slabPlanes * outputStride }
    /// The numbers of memory that each thread needs.
    var stripSize: Int { max(image.columns, pixelBlocks * Block.lanes) * Block.lanes }

    /// Copies a slab: of the image `[blocks][planes][phases][rows][columns][16]`, and of the gradient
    /// `[planes][pixels / 16][outputs][16]`, with zeros where they lie outside.
    func fill(
        _ input: FloatBuffer, _ output: FloatBuffer, from x: GradientTape.Numbers, _ gradient: BlockedTensor,
        _ item: Int, _ planes: Range<Int>, strips: FloatBuffer, _ workers: WorkerPool
    ) {
        (input.start + inputSize - Block.lanes * Block.lanes).update(
            repeating: 0, count: Block.lanes * Block.lanes)
        let imagePlanes = imagePlanes
        workers.split(inputBlocks * imagePlanes) { range, worker in
            for index in range {
                let (block, plane) = index.quotientAndRemainder(dividingBy: imagePlanes)
                copy(
                    x, block, item, plane: planes.lowerBound * geometry.stride + plane - geometry.before.planes,
                    to: input.start + block * inputStride + plane * phases * phaseSize,
                    row: strips.start + worker * stripSize)
            }
        }
        workers.split(planes.count * outputBlocks) { range, worker in
            for index in range {
                let (plane, block) = index.quotientAndRemainder(dividingBy: outputBlocks)
                transpose(
                    gradient, block, item, plane: planes.lowerBound + plane,
                    to: output.start + plane * outputStride + block * Block.lanes * Block.lanes,
                    strip: strips.start + worker * stripSize)
            }
        }
    }

    private func copy(
        _ x: GradientTape.Numbers, _ block: Int, _ item: Int, plane: Int,
        to target: UnsafeMutablePointer<Float>,
        row source: UnsafeMutablePointer<Float>
    ) {
        let stride = geometry.stride
        guard (0..<image.planes).contains(plane) else {
            return target.update(repeating: 0, count: phases * phaseSize)
        }
        for index in 0..<stride * rows {
            let row = index - geometry.before.rows
            let isInside = (0..<image.rows).contains(row)
            if isInside {
                x.copyRow(plane * image.rows + row, columns: image.columns, of: block, item, to: source)
            }
            for phase in 0..<stride {
                let result =
                    target + (index % stride * stride + phase) * phaseSize
                    + index / stride * columns * Block.lanes
                // The columns that lie inside.
                let first = max(0, (geometry.before.columns - phase + stride - 1) / stride)
                let end = min(columns, (image.columns + geometry.before.columns - phase + stride - 1) / stride)
                guard isInside, first < end else {
                    result.update(repeating: 0, count: columns * Block.lanes)
                    continue
                }
                result.update(repeating: 0, count: first * Block.lanes)
                for column in first..<end {
                    (result + column * Block.lanes).update(
                        from: source + (column * stride + phase - geometry.before.columns) * Block.lanes,
                        count: Block.lanes)
                }
                (result + end * Block.lanes).update(repeating: 0, count: (columns - end) * Block.lanes)
            }
        }
    }

    private func transpose(
        _ gradient: BlockedTensor, _ block: Int, _ item: Int, plane: Int,
        to target: UnsafeMutablePointer<Float>, strip: UnsafeMutablePointer<Float>
    ) {
        for row in 0..<size.rows {
            let start = strip + row * columns * Block.lanes
            gradient.copyRow(
                plane * size.rows + row, columns: size.columns, of: block, item, to: start)
            let next = row + 1 < size.rows ? (row + 1) * columns : pixelBlocks * Block.lanes
            (start + size.columns * Block.lanes).update(
                repeating: 0, count: (next - row * columns - size.columns) * Block.lanes)
        }
        for pixels in 0..<pixelBlocks {
            Block.kernels.transpose(
                strip + pixels * Block.lanes * Block.lanes, Block.lanes,
                target + pixels * outputBlocks * Block.lanes * Block.lanes, Block.lanes)
        }
    }

    /// The products of a slab for a group of outputs, `[places][input blocks][outputs of the group][16]`.
    func multiply(
        _ group: Int, _ planes: Range<Int>, _ input: FloatBuffer, _ output: FloatBuffer,
        into sums: UnsafeMutablePointer<Float>, adding: Bool
    ) {
        let kernel = geometry.kernel
        let placeStride = inputBlocks * groupRows * Block.lanes
        for place in 0..<geometry.places {
            let (row, column) = (place / kernel.columns % kernel.rows, place % kernel.columns)
            let (stride, tap) = (geometry.stride, place / (kernel.rows * kernel.columns))
            let phase = row % stride * stride + column % stride
            let pixel = (row / stride * columns + column / stride) * Block.lanes
            for plane in 0..<planes.count {
                let places = Block.starts(
                    output.start + plane * outputStride, count: pixelBlocks,
                    stride: outputBlocks * Block.lanes * Block.lanes)
                Block.kernels.multiply(
                    rows(of: group).count, inputBlocks, pixelBlocks, places, group * groupRows * Block.lanes,
                    Block.lanes,
                    input.start + ((plane * stride + tap) * phases + phase) * phaseSize + pixel, inputStride,
                    sums + place * placeStride, groupRows * Block.lanes, adding || plane > 0)
            }
        }
    }
}
