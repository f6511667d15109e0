import Foundation
import TensorFiles

extension Tensor {
    /// Multi-head attention: for each head, `softmax(Q K^T / sqrt d) V`.
    ///
    /// Vaswani et al.: *Attention Is All You Need*, arXiv 1706.03762, equation 1. A head is a run of d
    /// neighbouring places of the last axis. Scores are kept for a block of queries at a time, so memory stays
    /// bounded however many tokens there are. O(tokens * context tokens * width).
    ///
    /// - Parameters:
    ///   - queries: Q, `[batch, tokens, heads * d]`.
    ///   - keys: K, `[batch, context tokens, heads * d]`.
    ///   - values: V, `[batch, context tokens, heads * d]`.
    ///   - heads: how many heads share the last axis.
    /// - Returns: `[batch, tokens, heads * d]`.
    static func attention(queries: Tensor, keys: Tensor, values: Tensor, heads: Int) -> Tensor {
        precondition(
            queries.shape.count == 3 && keys.shape == values.shape
                && keys.shape == [queries.shape[0], keys.shape[1], queries.shape[2]]
                && keys.shape[1] > 0 && queries.shape[2] % heads == 0,
            "queries \(queries.shape), keys \(keys.shape) and values \(values.shape) do not fit \(heads) heads")
        let (batch, tokens, width) = (queries.shape[0], queries.shape[1], queries.shape[2])
        let (contextTokens, headWidth) = (keys.shape[1], width / heads)
        let scale = 1 / Float(headWidth).squareRoot()
        let blockRows = max(1, min(tokens, scoreBlockSize / contextTokens))
        let scores = UnsafeMutableBufferPointer<Float>.allocate(capacity: blockRows * contextTokens)
        defer { scores.deallocate() }

        return Tensor(shape: queries.shape) { result in
            queries.values.withUnsafeBufferPointer { q in
                keys.values.withUnsafeBufferPointer { k in
                    values.values.withUnsafeBufferPointer { v in
                        guard let q = q.baseAddress, let k = k.baseAddress, let v = v.baseAddress,
                            let output = result.baseAddress, let block = scores.baseAddress
                        else { return }
                        for index in 0..<batch * heads {
                            let (item, head) = index.quotientAndRemainder(dividingBy: heads)
                            let context = item * contextTokens * width + head * headWidth
                            for top in stride(from: 0, to: tokens, by: blockRows) {
                                let rows = min(blockRows, tokens - top)
                                let offset = (item * tokens + top) * width + head * headWidth
                                MatrixView(start: q + offset, stride: width).multiply(
                                    MatrixView(start: k + context, stride: width, transposed: true),
                                    into: block, stride: contextTokens,
                                    rows: rows, columns: contextTokens, inner: headWidth, scale: scale)
                                for row in 0..<rows {
                                    UnsafeMutableBufferPointer(
                                        start: block + row * contextTokens, count: contextTokens
                                    ).softmaxInPlace()
                                }
                                MatrixView(start: block, stride: contextTokens).multiply(
                                    MatrixView(start: v + context, stride: width), into: output + offset,
                                    stride: width, rows: rows, columns: headWidth, inner: contextTokens)
                            }
                        }
                    }
                }
            }
        }
    }

    /// The scores kept at a time: 1 MiB.
    private static let scoreBlockSize = 1 << 18
}

extension UnsafeMutableBufferPointer<Float> {
    /// Replaces the numbers by `e^x` over its sum, with the greatest taken off first so that nothing overflows.
    fileprivate func softmaxInPlace() {
        var greatest = -Float.infinity
        for value in self where value > greatest { greatest = value }
        transformInPlace { exponentialOfNonPositive($0 - greatest) }
        let scale = Float(1 / UnsafeBufferPointer(self).sum { $0 })
        transformInPlace { $0 * scale }
    }
}
