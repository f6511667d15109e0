import Networks
import TensorFiles

/// Convolutions of any kernel, with a stride of 1 or 2.
extension GradientTape {
    /// A convolution; nil where the zeros around the image are as wide as the kernel.
    func directlyConvolved(
        _ x: Value, _ layer: Convolution, _ geometry: KernelGeometry, _ size: Extents, shape: [Int]
    ) -> Value? {
        guard let phases = geometry.backwardPhases(of: size) else { return nil }
        let (weight, numbers) = (parameter(layer.weight), x.numbers)
        let resultSize = Extents(shape[2...])
        let result = directlyConvolved(
            numbers, weight, bias: layer.bias.map(parameter), geometry, from: size, to: resultSize)
        return record(result, shape: shape, isTokens: false, from: [x], parameters: layer.parameters) {
            [unowned self] gradient in
            add(directGradient(gradient, weight, phases, from: resultSize, to: size), to: x)
            add(directWeightGradient(gradient, numbers, geometry, size, resultSize), to: layer.weight)
            if let bias = layer.bias { add(channelSums(gradient), to: bias) }
        }
    }

    private func directlyConvolved(
        _ x: Numbers, _ weight: Tensor, bias: Tensor?, isAdjoint: Bool = false,
        _ geometry: KernelGeometry, from size: Extents, to resultSize: Extents
    ) -> BlockedTensor {
        let packed = PackedConvolution(
            weight, bias: bias, geometry: geometry, form: .direct, isAdjoint: isAdjoint, from: memory,
            workers: workers)
        let convolution = DirectConvolution(weights: packed, image: size, size: resultSize)
        let result = empty(channels: packed.outputs, like: x.like, pixels: resultSize.pixels)
        forEachItem(of: x.like, scratchSize: convolution.scratchSize) { item, scratch, pool in
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
        if let only = phases.first, phases.count == 1 {
            return directlyConvolved(
                .known(gradient), weight, bias: nil, isAdjoint: true, only.geometry, from: size, to: imageSize)
        }
        let result = BlockedTensor(
            channels: weight.shape[1], batch: gradient.batch, pixels: imageSize.pixels, from: memory)
        for phase in phases where phase.size.pixels > 0 {
            let part =
                phase.geometry.places == 0
                ? nil
                : directlyConvolved(
                    .known(gradient), weight.places(of: phase), bias: nil, isAdjoint: true, phase.geometry,
                    from: size, to: phase.size)
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
        /// For each axis the places of the kernel.
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
    /// The places of the kernel.
    let places: [Int]
    let first, count: Int
    /// Zeros before the result's gradient.
    let before: Int

    /// Pixel i has met place t where i + before - t is a multiple of the stride; those of one phase have (i + before) mod
    /// stride in common.
    init(_ phase: Int, kernel: Int, stride: Int, before: Int, extent: Int) {
        places = (0..<kernel).filter { $0 % stride == phase }
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
