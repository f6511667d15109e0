import COpenBLAS
import TensorFiles

/// A matrix inside a larger block of storage: row `i` starts `i * stride` numbers after `start`.
struct MatrixView {
    let start: UnsafePointer<Float>
    let stride: Int
    var transposed = false

    /// The part from a row and a column on.
    fileprivate func from(row: Int, column: Int) -> MatrixView {
        let offset = transposed ? column * stride + row : row * stride + column
        return MatrixView(start: start + offset, stride: stride, transposed: transposed)
    }

    /// `C = scale * A B` (+ C where `accumulating`), with A, this matrix, `[rows, inner]`, B `[inner, columns]` and C
    /// `[rows, columns]`, whose rows are `stride` apart. A view marked transposed is stored the other way round.
    ///
    /// The product is computed in tiles so small that OpenBLAS computes each on the calling thread, whatever number
    /// of threads the process has set: its bits depend on the sizes alone, and no setting is changed.
    func multiply(
        _ other: MatrixView, into c: UnsafeMutablePointer<Float>, stride: Int, rows: Int, columns: Int,
        inner: Int, scale: Float = 1, accumulating: Bool = false
    ) {
        let tile = Self.tile(rows: rows, columns: columns, inner: inner)
        for row in Swift.stride(from: 0, to: rows, by: tile.rows) {
            for column in Swift.stride(from: 0, to: columns, by: tile.columns) {
                let (a, b) = (from(row: row, column: 0), other.from(row: 0, column: column))
                cblas_sgemm(
                    CblasRowMajor, a.transposed ? CblasTrans : CblasNoTrans,
                    b.transposed ? CblasTrans : CblasNoTrans, blasint(min(tile.rows, rows - row)),
                    blasint(min(tile.columns, columns - column)), blasint(inner), scale, a.start,
                    blasint(a.stride), b.start, blasint(b.stride), accumulating ? 1 : 0,
                    c + row * stride + column, blasint(stride))
            }
        }
    }

    /// OpenBLAS splits a product between threads above 2^18 multiplications (`SMP_THRESHOLD_MIN` times
    /// `GEMM_MULTITHREAD_THRESHOLD` in its sources).
    private static func tile(rows: Int, columns: Int, inner: Int) -> (rows: Int, columns: Int) {
        let limit = max(1, (1 << 17) / max(1, inner))
        let tileRows = max(1, min(rows, limit, 16))
        let tileColumns = max(1, limit / tileRows)
        return (tileRows, tileColumns < 16 ? tileColumns : tileColumns / 16 * 16)
    }
}

extension Tensor {
    /// `y = x W^T + b` for each row along the last axis.
    ///
    /// O(rows * inputs * outputs).
    ///
    /// - Parameters:
    ///   - weight: W, `[outputs, inputs]`, for a tensor of `[..., inputs]`.
    ///   - bias: b, `[outputs]`.
    /// - Returns: `[..., outputs]`.
    func linear(weight: Tensor, bias: Tensor? = nil) -> Tensor {
        let inputs = shape[shape.count - 1]
        precondition(
            weight.shape.count == 2 && weight.shape[1] == inputs, "weights \(weight.shape) do not fit \(shape)")
        let outputs = weight.shape[0]
        precondition(bias == nil || bias?.shape == [outputs], "biases do not fit weights \(weight.shape)")
        let rows = shape.dropLast().reduce(1, *)
        return Tensor(shape: shape.dropLast() + [outputs]) { result in
            for row in 0..<rows {
                for output in 0..<outputs { result[row * outputs + output] = bias?.values[output] ?? 0 }
            }
            guard let start = result.baseAddress else { return }
            values.withUnsafeBufferPointer { source in
                weight.values.withUnsafeBufferPointer { weights in
                    guard let x = source.baseAddress, let w = weights.baseAddress else { return }
                    MatrixView(start: x, stride: inputs).multiply(
                        MatrixView(start: w, stride: inputs, transposed: true), into: start, stride: outputs,
                        rows: rows, columns: outputs, inner: inputs, accumulating: true)
                }
            }
        }
    }
}
