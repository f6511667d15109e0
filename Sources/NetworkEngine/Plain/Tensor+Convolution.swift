import Networks
import TensorFiles

extension Tensor {
    /// Cross-correlation with a bank of kernels, as networks mean by convolution, over any number of spatial axes.
    ///
    /// The patches under the kernel are gathered as the columns of a matrix (im2col), a few rows of the result at a
    /// time so that the matrix stays small, and multiplied by the weights. A kernel of one element needs no
    /// gathering. O(outputs * inputs * kernel * pixels).
    ///
    /// - Parameters:
    ///   - layer: the strides and the padding; its weight is `[outputs, inputs, kernel...]`.
    ///   - weight: the weight's numbers.
    ///   - bias: `[outputs]`, or nil.
    /// - Returns: `[batch, outputs] + layer.extents(of: spatial)`, of `[batch, inputs] + spatial`.
    func convolved(_ layer: Convolution, _ weight: Tensor, _ bias: Tensor?) -> Tensor {
        precondition(
            weight.shape == layer.weight.shape && weight.shape.count == shape.count
                && weight.shape[1] == shape[1], "weights \(weight.shape) do not fit \(shape)")
        precondition(bias == nil || bias?.shape == [weight.shape[0]], "biases do not fit \(weight.shape)")
        let patches = Patches(of: self, layer)
        let (outputs, pixels) = (weight.shape[0], patches.rows * patches.columns)
        let blockRows = min(patches.rows, max(1, Patches.blockSize / max(1, patches.size * patches.columns)))
        let gathered = UnsafeMutableBufferPointer<Float>.allocate(
            capacity: patches.isCopied ? patches.size * blockRows * patches.columns : 0)
        defer { gathered.deallocate() }
        return Tensor(shape: [shape[0], outputs] + layer.extents(of: shape[2...])) { result in
            result.fillChannels(with: bias?.values, channels: outputs, pixels: pixels)
            guard let start = result.baseAddress else { return }
            values.withUnsafeBufferPointer { source in
                weight.values.withUnsafeBufferPointer { weights in
                    guard let x = source.baseAddress, let w = weights.baseAddress else { return }
                    let kernels = MatrixView(start: w, stride: patches.size)
                    for item in 0..<shape[0] {
                        let (image, target) = (x + item * (count / shape[0]), start + item * outputs * pixels)
                        for top in stride(
                            from: 0, to: patches.rows, by: patches.isCopied ? blockRows : patches.rows)
                        {
                            let block = top..<min(top + blockRows, patches.rows)
                            let width = patches.isCopied ? block.count * patches.columns : pixels
                            var matrix = MatrixView(start: image, stride: pixels)
                            if patches.isCopied, let copy = gathered.baseAddress {
                                patches.gather(block, from: image, to: copy)
                                matrix = MatrixView(start: copy, stride: width)
                            }
                            kernels.multiply(
                                matrix, into: target + top * patches.columns, stride: pixels, rows: outputs,
                                columns: width, inner: patches.size, accumulating: true)
                        }
                    }
                }
            }
        }
    }
}

/// The elements of an image under the kernel, for each element of a convolution's result.
private struct Patches {
    private let layer: Convolution
    private let inputs: Int
    /// The spatial extents of the image and of the result.
    private let image, result: [Int]

    /// The numbers in a block of gathered patches: 1 MiB, which stays in the second or third cache.
    static let blockSize = 1 << 18

    init(of image: Tensor, _ layer: Convolution) {
        (self.layer, inputs) = (layer, image.shape[1])
        self.image = Array(image.shape[2...])
        result = layer.extents(of: self.image)
        precondition(result.allSatisfy { $0 > 0 }, "\(layer.weight) is larger than \(image.shape)")
    }

    /// The numbers of one patch.
    var size: Int { layer.weight.shape[1...].reduce(1, *) }
    /// The result's elements along the last axis, and the rows of all other axes together.
    var columns: Int { result.last ?? 1 }
    var rows: Int { result.dropLast().reduce(1, *) }
    /// Whether patches are anything but the image's own elements.
    var isCopied: Bool {
        layer.kernel.contains { $0 != 1 } || result != image || layer.stride.contains { $0 != 1 }
    }

    /// Writes the patches of some rows of the result as a matrix `[inputs * kernel, elements]`, row by row.
    func gather(_ block: Range<Int>, from start: UnsafePointer<Float>, to patches: UnsafeMutablePointer<Float>)
    {
        let (kernel, outer) = (layer.kernel, image.count - 1)
        let width = image[outer]
        var target = patches
        for input in 0..<inputs {
            for place in 0..<kernel.reduce(1, *) {
                for row in block {
                    // The row of the image under this row of the result, axis by axis, or nil outside.
                    var (rest, offset, stride, source) = (row, place / kernel[outer], width, Int?.some(0))
                    for axis in (0..<outer).reversed() {
                        let position =
                            rest % result[axis] * layer.stride[axis] + offset % kernel[axis]
                            - layer.padding[axis].before
                        source =
                            (0..<image[axis]).contains(position) ? source.map { $0 + position * stride } : nil
                        (rest, offset, stride) = (
                            rest / result[axis], offset / kernel[axis], stride * image[axis]
                        )
                    }
                    if let source {
                        gatherRow(
                            start + input * stride + source,
                            shift: place % kernel[outer] - layer.padding[outer].before, to: target)
                    } else {
                        target.update(repeating: 0, count: columns)
                    }
                    target += columns
                }
            }
        }
    }

    /// Writes the elements of one row of the image that one column of the kernel meets, zeros where it lies outside.
    private func gatherRow(_ row: UnsafePointer<Float>, shift: Int, to target: UnsafeMutablePointer<Float>) {
        let (stride, width) = (layer.stride[image.count - 1], image[image.count - 1])
        let first = min(columns, max(0, (stride - 1 - shift) / stride))
        let end = max(first, min(columns, (width - shift + stride - 1) / stride))
        target.update(repeating: 0, count: first)
        (target + end).update(repeating: 0, count: columns - end)
        if stride == 1 {
            (target + first).update(from: row + (first + shift), count: end - first)
        } else {
            for column in first..<end { target[column] = row[column * stride + shift] }
        }
    }
}

extension UnsafeMutableBufferPointer<Float> {
    /// Sets every pixel of each channel to the channel's bias, or to 0: `[batch, channels, pixels]`.
    fileprivate func fillChannels(with bias: [Float]?, channels: Int, pixels: Int) {
        guard let bias, let base = baseAddress else { return update(repeating: 0) }
        for channel in 0..<count / Swift.max(1, pixels) {
            (base + channel * pixels).update(repeating: bias[channel % channels], count: pixels)
        }
    }
}
