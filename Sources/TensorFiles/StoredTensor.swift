/// Where a tensor's numbers lie in a file.
struct StoredTensor {
    let type: TensorType
    let shape: [Int]
    /// How many numbers lie between neighbours along each axis.
    let strides: [Int]
    /// The byte at which the first number begins.
    let offset: Int

    /// A tensor whose numbers lie one after another, last axis fastest.
    init(type: TensorType, shape: [Int], offset: Int) {
        var strides = [Int](repeating: 1, count: shape.count)
        for axis in shape.indices.dropLast().reversed() { strides[axis] = strides[axis + 1] * shape[axis + 1] }
        self.init(type: type, shape: shape, strides: strides, offset: offset)
    }

    init(type: TensorType, shape: [Int], strides: [Int], offset: Int) {
        (self.type, self.shape, self.strides, self.offset) = (type, shape, strides, offset)
    }

    /// Reads the numbers, holding no more of the file in memory at a time than 16 MB of numbers come from.
    func read(from file: MappedFile) -> Tensor {
        Tensor(shape: shape) { values in
            guard !values.isEmpty else { return }
            let axes = self.axes
            let row = axes.last ?? (extent: 1, stride: 1)
            var index = [Int](repeating: 0, count: max(0, axes.count - 1))
            var (place, done, held) = (0, 0, 0)
            while done < values.count {
                for first in stride(from: 0, to: row.extent, by: Self.piece) {
                    let count = min(Self.piece, row.extent - first)
                    file.withBytes { bytes in
                        let start = offset + (place + first * row.stride) * type.size
                        type.decode(
                            UnsafeRawBufferPointer(rebasing: bytes[start...]), stride: row.stride,
                            into: UnsafeMutableBufferPointer(rebasing: values[done..<done + count]))
                    }
                    (done, held) = (done + count, held + count)
                    if held >= Self.piece || done == values.count {
                        file.release(bytes)
                        held = 0
                    }
                }
                for axis in index.indices.reversed() {
                    (index[axis], place) = (index[axis] + 1, place + axes[axis].stride)
                    if index[axis] < axes[axis].extent { break }
                    (index[axis], place) = (0, place - axes[axis].extent * axes[axis].stride)
                }
            }
        }
    }

    private static let piece = 1 << 22

    /// From the first number to the end of the last.
    private var bytes: Range<Int> {
        let last = zip(shape, strides).reduce(0) { $0 + ($1.0 - 1) * $1.1 }
        return offset..<offset + (last + 1) * type.size
    }

    /// The axes as few as they can be: none of extent 1, and those that run on into each other joined.
    private var axes: [(extent: Int, stride: Int)] {
        zip(shape, strides).reduce(into: []) { axes, axis in
            guard axis.0 != 1 else { return }
            if let last = axes.last, last.stride == axis.0 * axis.1 {
                axes[axes.count - 1] = (last.extent * axis.0, axis.1)
            } else {
                axes.append((axis.0, axis.1))
            }
        }
    }
}
