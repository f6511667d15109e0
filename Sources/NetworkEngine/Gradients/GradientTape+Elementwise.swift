import CVoxelKernels

extension GradientTape {
    func silu(_ x: Value) -> Value {
        if let (normalization, source) = x.deferred, !normalization.isCurved {
            return curved(normalization, of: source)
        }
        return curve(x, { Block.kernels.silu_gradient($0, $1, $2, $3) }) { source, pixels, result in
            Block.kernels.activate(source, nil, pixels, nil, nil, true, VOXEL_SAME_SIZE, result)
        }
    }

    func gelu(_ x: Value) -> Value {
        curve(x, { Block.kernels.gelu_gradient($0, $1, $2, $3) }) { source, pixels, result in
            Block.kernels.gelu(nil, source, pixels, result)
        }
    }

    /// x, or slope x where x is negative.
    func rectified(_ x: Value, slope: Float) -> Value {
        curve(x, { Block.kernels.rectify_gradient($0, $1, slope, $2, $3) }) { source, pixels, result in
            result.update(from: source, count: pixels * Block.lanes)
            Block.kernels.rectify(result, slope, pixels)
        }
    }

    private typealias Pixels = UnsafePointer<Float>?
    private typealias Result = UnsafeMutablePointer<Float>

    private func curve(
        _ x: Value, _ derivative: @escaping @Sendable (Pixels, Pixels, Int, Result?) -> Void,
        _ function: @Sendable (Result, Int, Result) -> Void
    ) -> Value {
        let data = x.data
        let result = empty(channels: data.channels, like: data)
        forEachRun(of: result) { offset, pixels in
            function(data.numbers.start + offset, pixels, result.numbers.start + offset)
        }
        return record(result, shape: x.shape, isTokens: x.isTokens, from: [x]) { [unowned self] gradient in
            let back = empty(channels: data.channels, like: data)
            forEachRun(of: back) { offset, pixels in
                derivative(
                    data.numbers.start + offset, gradient.numbers.start + offset, pixels,
                    back.numbers.start + offset)
            }
            add(back, to: x)
        }
    }

    func sum(_ a: Value, _ b: Value) -> Value {
        record(sum(a.data, b.data), shape: a.shape, isTokens: a.isTokens, from: [a, b]) {
            [unowned self] gradient in
            add(gradient, to: a)
            add(gradient, to: b)
        }
    }

    func product(_ a: Value, _ b: Value) -> Value {
        record(product(a.data, b.data), shape: a.shape, isTokens: a.isTokens, from: [a, b]) {
            [unowned self] gradient in
            add(product(gradient, b.data), to: a)
            add(product(gradient, a.data), to: b)
        }
    }

    private func product(_ a: BlockedTensor, _ b: BlockedTensor) -> BlockedTensor {
        let result = a.zeros(from: memory)
        forEachRun(of: a) { offset, pixels in
            Block.kernels.add(
                result.numbers.start + offset, a.numbers.start + offset, b.numbers.start + offset, pixels)
        }
        return result
    }

    func shifted(_ x: Value, by shift: Value) -> Value {
        let result = affine(x.data, scale: nil, shift: shift.data)
        return record(result, shape: x.shape, isTokens: x.isTokens, from: [x, shift]) {
            [unowned self] gradient in
            add(gradient, to: x)
            add(sums(gradient).sums, to: shift)
        }
    }

    /// x (1 + scale) + shift, with one scale and shift for each channel, or for each number.
    func modulated(_ x: Value, scale: Value, shift: Value) -> Value {
        guard scale.shape != x.shape else { return modulated(x, scales: scale, shifts: shift) }
        let result = affine(x.data, scale: scale.data, shift: shift.data)
        return record(result, shape: x.shape, isTokens: x.isTokens, from: [x, scale, shift]) {
            [unowned self] gradient in
            add(affine(gradient, scale: scale.data, shift: nil), to: x)
            let (sums, products) = sums(gradient, times: x.data)
            if let products { add(products, to: scale) }
            add(sums, to: shift)
        }
    }

    private func modulated(_ x: Value, scales: Value, shifts: Value) -> Value {
        let result = scaled(x.data, by: scales.data)
        let addend = shifts.data
        forEachRun(of: result) { offset, pixels in
            Block.kernels.add(result.numbers.start + offset, addend.numbers.start + offset, nil, pixels)
        }
        return record(result, shape: x.shape, isTokens: x.isTokens, from: [x, scales, shifts]) {
            [unowned self] gradient in
            add(scaled(gradient, by: scales.data), to: x)
            add(product(gradient, x.data), to: scales)
            add(gradient, to: shifts)
        }
    }

    /// `x (1 + factor)`.
    private func scaled(_ x: BlockedTensor, by factor: BlockedTensor) -> BlockedTensor {
        let result = empty(channels: x.channels, like: x)
        forEachRun(of: x) { offset, pixels in
            (result.numbers.start + offset).update(
                from: x.numbers.start + offset, count: pixels * Block.lanes)
            Block.kernels.scale(
                result.numbers.start + offset, factor.numbers.start + offset, 1, pixels)
        }
        return result
    }

    /// `x (1 + scale) + shift`, where scale and shift have one pixel for each image.
    private func affine(_ x: BlockedTensor, scale: BlockedTensor?, shift: BlockedTensor?) -> BlockedTensor {
        let result = empty(channels: x.channels, like: x)
        forEachImage(of: x) { block, item in
            let source = x.block(block, of: item)
            withUnsafeTemporaryAllocation(byteCount: 3 * Block.lanes * 4, alignment: 64) { bytes in
                let coefficients = bytes.bindMemory(to: Float.self)
                for lane in 0..<Block.lanes {
                    coefficients[lane] = 1 + (scale.map { $0.block(block, of: item)[lane] } ?? 0)
                    coefficients[Block.lanes + lane] = 0
                    coefficients[2 * Block.lanes + lane] = shift.map { $0.block(block, of: item)[lane] } ?? 0
                }
                Block.kernels.blend(
                    source, source, x.pixels, coefficients.baseAddress, result.block(block, of: item))
            }
        }
        return result
    }

    /// The sums over each image's pixels of x, and of x y where y is given: one pixel each.
    private func sums(
        _ x: BlockedTensor, times y: BlockedTensor? = nil
    ) -> (sums: BlockedTensor, products: BlockedTensor?) {
        let sums = empty(channels: x.channels, like: x, pixels: 1)
        let products = y.map { _ in empty(channels: x.channels, like: x, pixels: 1) }
        let center = FloatBuffer(zeros: Block.lanes)
        forEachImage(of: x) { block, item in
            let (sum, product) = x.correlate(with: y ?? x, about: center, block, item)
            for lane in 0..<Block.lanes {
                sums.block(block, of: item)[lane] = Float(sum[lane])
                products?.block(block, of: item)[lane] = Float(product[lane])
            }
        }
        return (sums, products)
    }
}

extension BlockedTensor {
    /// The sums over one image's pixels of one block of x, this tensor, and of x (y - center).
    func correlate(
        with y: BlockedTensor, about center: FloatBuffer, _ block: Int, _ item: Int
    ) -> (sums: [Double], products: [Double]) {
        var sums = [Double](repeating: 0, count: Block.lanes)
        var products = sums
        Block.kernels.correlate(
            self.block(block, of: item), y.block(block, of: item), center.start, pixels, &sums, &products)
        return (sums, products)
    }
}
