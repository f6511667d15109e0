extension Tensor {
    /// The same numbers, in the same order, under another shape. O(1).
    ///
    /// - Precondition: both shapes hold as many numbers.
    public func reshaped(_ shape: [Int]) -> Tensor { Tensor(shape: shape, values: values) }

    /// The part of the tensor where the index along `axis` lies in `range`. O(n) of the part.
    public func slice(axis: Int, _ range: Range<Int>) -> Tensor {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= shape[axis],
            "\(range) lies outside axis \(axis) of \(shape)")
        let (outer, inner) = extents(around: axis)
        var part = shape
        part[axis] = range.count
        return Tensor(shape: part) { result in
            values.withUnsafeBufferPointer { source in
                let run = range.count * inner
                for index in 0..<outer {
                    let start = (index * shape[axis] + range.lowerBound) * inner
                    result.write(source[start..<start + run], at: index * run)
                }
            }
        }
    }

    /// Tensors one after the other along `axis`. O(n).
    ///
    /// - Precondition: there is at least one, and their shapes differ in that axis only.
    public static func concatenated(_ parts: [Tensor], axis: Int) -> Tensor {
        let shape = concatenatedShape(parts.map(\.shape), axis: axis)
        let (outer, inner) = parts[0].extents(around: axis)
        return Tensor(shape: shape) { result in
            var written = 0
            for index in 0..<outer {
                for part in parts {
                    let run = part.shape[axis] * inner
                    part.values.withUnsafeBufferPointer {
                        result.write($0[index * run..<(index + 1) * run], at: written)
                    }
                    written += run
                }
            }
        }
    }

    /// The shape of tensors of some shapes, concatenated along `axis`.
    package static func concatenatedShape(_ shapes: [[Int]], axis: Int) -> [Int] {
        var result = shapes[0]
        result[axis] = 0
        for shape in shapes {
            result[axis] += shape[axis]
            precondition(
                shape.count == result.count
                    && shape.indices.allSatisfy { $0 == axis || shape[$0] == result[$0] },
                "\(shape) does not continue \(result) along axis \(axis)")
        }
        return result
    }

    /// `[..., r, c]` to `[..., c, r]`: the last two axes exchanged. O(n).
    public func transposed() -> Tensor {
        let rank = shape.count
        precondition(rank >= 2, "\(shape) has no two axes to exchange")
        let (rows, columns) = (shape[rank - 2], shape[rank - 1])
        let matrices = shape[..<(rank - 2)].reduce(1, *)
        let tile = 16  // rows and columns of a tile stay in the first cache together
        return Tensor(shape: shape[..<(rank - 2)] + [columns, rows]) { result in
            values.withUnsafeBufferPointer { source in
                for start in (0..<matrices).map({ $0 * rows * columns }) {
                    for top in stride(from: 0, to: rows, by: tile) {
                        for left in stride(from: 0, to: columns, by: tile) {
                            for column in left..<min(left + tile, columns) {
                                for row in top..<min(top + tile, rows) {
                                    result[start + column * rows + row] = source[start + row * columns + column]
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// How many numbers the axes before and after `axis` hold.
    package func extents(around axis: Int) -> (outer: Int, inner: Int) {
        (shape[..<axis].reduce(1, *), shape[(axis + 1)...].reduce(1, *))
    }
}

extension UnsafeMutableBufferPointer<Float> {
    /// Copies `source` to the numbers from `offset` on.
    @inline(__always)
    fileprivate func write(_ source: Slice<UnsafeBufferPointer<Float>>, at offset: Int) {
        _ = UnsafeMutableBufferPointer(rebasing: self[offset..<offset + source.count]).update(
            fromContentsOf: source)
    }
}
