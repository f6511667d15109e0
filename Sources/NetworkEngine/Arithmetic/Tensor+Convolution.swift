import TensorFiles

extension Tensor {
    /// Cross-correlation with a bank of kernels, as networks mean by convolution.
    ///
    /// A kernel of one element works over any number of spatial dimensions and is one matrix product. Any other
    /// is two-dimensional: the patches under the kernel are gathered as the columns of a matrix (im2col), a
    /// few rows of the image at a time so that the matrix stays small, and multiplied by the weights.
    /// O(outputs * inputs * kernel * pixels).
    ///
    /// - Parameters:
    ///   - weight: `[outputs, inputs, kernel rows, kernel columns]`, for a tensor of
    ///     `[batch, inputs, rows, columns]`.
    ///   - bias: `[outputs]`.
    ///   - stride: pixels between neighbouring positions of the kernel.
    ///   - padding: rows and columns of zeros around the image.
    /// - Returns: `[batch, outputs, (rows + 2 padding - kernel rows) / stride + 1, likewise]`.
    public func convolved(weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: Int = 0) -> Tensor {
        precondition(
            weight.shape.count == shape.count && weight.shape[1] == shape[1],
            "weights \(weight.shape) do not fit \(shape)")
        precondition(bias == nil || bias?.shape == [weight.shape[0]], "biases do not fit \(weight.shape)")
        let pointwise = weight.shape[2...].allSatisfy { $0 == 1 } && stride == 1 && padding == 0
        return pointwise
            ? pointwiseConvolved(weight: weight, bias: bias)
            : Convolution2D(of: self, weight: weight, stride: stride, padding: padding).result(bias: bias)
    }

    private func pointwiseConvolved(weight: Tensor, bias: Tensor?) -> Tensor {
        let (outputs, inputs, pixels) = (weight.shape[0], shape[1], shape[2...].reduce(1, *))
        return Tensor(shape: [shape[0], outputs] + shape[2...]) { result in
            result.fillChannels(with: bias, channels: outputs, pixels: pixels)
            guard let start = result.baseAddress else { return }
            values.withUnsafeBufferPointer { source in
                weight.values.withUnsafeBufferPointer { weights in
                    guard let x = source.baseAddress, let w = weights.baseAddress else { return }
                    for item in 0..<shape[0] {
                        multiply(
                            MatrixView(start: w, stride: inputs),
                            MatrixView(start: x + item * inputs * pixels, stride: pixels),
                            into: start + item * outputs * pixels, stride: pixels,
                            rows: outputs, columns: pixels, inner: inputs, accumulating: true)
                    }
                }
            }
        }
    }
}

/// The sizes of one two-dimensional convolution, and how it is done.
private struct Convolution2D {
    let image, weight: Tensor
    let stride, padding: Int
    let inputs, rows, columns: Int
    let outputs, kernelRows, kernelColumns: Int
    let outputRows, outputColumns: Int

    init(of image: Tensor, weight: Tensor, stride: Int, padding: Int) {
        precondition(image.shape.count == 4, "\(image.shape) is not [batch, channels, rows, columns]")
        (self.image, self.weight, self.stride, self.padding) = (image, weight, stride, padding)
        (inputs, rows, columns) = (image.shape[1], image.shape[2], image.shape[3])
        (outputs, kernelRows, kernelColumns) = (weight.shape[0], weight.shape[2], weight.shape[3])
        outputRows = (rows + 2 * padding - kernelRows) / stride + 1
        outputColumns = (columns + 2 * padding - kernelColumns) / stride + 1
        precondition(
            rows + 2 * padding >= kernelRows && columns + 2 * padding >= kernelColumns,
            "a kernel of \(weight.shape) is larger than \(image.shape)")
    }

    /// The numbers in a block of gathered patches: 1 MiB, which stays in the second or third cache.
    private static let blockSize = 1 << 18

    func result(bias: Tensor?) -> Tensor {
        let patch = inputs * kernelRows * kernelColumns
        let pixels = outputRows * outputColumns
        let blockRows = min(outputRows, max(1, Self.blockSize / max(1, patch * outputColumns)))
        let patches = UnsafeMutableBufferPointer<Float>.allocate(capacity: patch * blockRows * outputColumns)
        defer { patches.deallocate() }
        return Tensor(shape: [image.shape[0], outputs, outputRows, outputColumns]) { result in
            result.fillChannels(with: bias, channels: outputs, pixels: pixels)
            guard let start = result.baseAddress, let gathered = patches.baseAddress else { return }
            image.values.withUnsafeBufferPointer { source in
                weight.values.withUnsafeBufferPointer { weights in
                    guard let x = source.baseAddress, let w = weights.baseAddress else { return }
                    for item in 0..<image.shape[0] {
                        for top in Swift.stride(from: 0, to: outputRows, by: blockRows) {
                            let block = top..<min(top + blockRows, outputRows)
                            gather(block, from: x + item * inputs * rows * columns, to: gathered)
                            let width = block.count * outputColumns
                            multiply(
                                MatrixView(start: w, stride: patch), MatrixView(start: gathered, stride: width),
                                into: start + item * outputs * pixels + top * outputColumns, stride: pixels,
                                rows: outputs, columns: width, inner: patch, accumulating: true)
                        }
                    }
                }
            }
        }
    }

    /// Writes the patches of some output rows as a matrix `[inputs * kernel, output pixels]`, row by row.
    private func gather(
        _ block: Range<Int>, from image: UnsafePointer<Float>, to patches: UnsafeMutablePointer<Float>
    ) {
        var target = patches
        for input in 0..<inputs {
            let plane = image + input * rows * columns
            for kernelRow in 0..<kernelRows {
                for kernelColumn in 0..<kernelColumns {
                    for outputRow in block {
                        let row = outputRow * stride + kernelRow - padding
                        if (0..<rows).contains(row) {
                            gatherRow(plane + row * columns, shift: kernelColumn - padding, to: target)
                        } else {
                            target.update(repeating: 0, count: outputColumns)
                        }
                        target += outputColumns
                    }
                }
            }
        }
    }

    /// Writes the pixels of one image row that one column of the kernel meets, zeros where it lies outside.
    private func gatherRow(_ row: UnsafePointer<Float>, shift: Int, to target: UnsafeMutablePointer<Float>) {
        let first = min(outputColumns, max(0, (stride - 1 - shift) / stride))
        let end = max(first, min(outputColumns, (columns - shift + stride - 1) / stride))
        target.update(repeating: 0, count: first)
        (target + end).update(repeating: 0, count: outputColumns - end)
        if stride == 1 {
            (target + first).update(from: row + (first + shift), count: end - first)
        } else {
            for column in first..<end { target[column] = row[column * stride + shift] }
        }
    }
}

extension UnsafeMutableBufferPointer<Float> {
    /// Sets every pixel of each channel to the channel's bias, or to 0.
    fileprivate func fillChannels(with bias: Tensor?, channels: Int, pixels: Int) {
        guard let bias, let base = baseAddress else { return update(repeating: 0) }
        for channel in 0..<count / Swift.max(1, pixels) {
            (base + channel * pixels).update(repeating: bias.values[channel % channels], count: pixels)
        }
    }
}
