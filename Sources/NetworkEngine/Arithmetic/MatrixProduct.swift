import COpenBLAS

/// A matrix inside a larger block of storage: row `i` starts `i * stride` numbers after `start`.
struct MatrixView {
    let start: UnsafePointer<Float>
    let stride: Int
    var transposed = false
}

/// `C = scale * A B` (+ C where `accumulating`), with A `[rows, inner]`, B `[inner, columns]` and C
/// `[rows, columns]`, whose rows are `stride` apart. A view marked transposed is stored the other way round.
///
/// OpenBLAS is held to one thread, so a product's bits do not depend on who else is computing.
func multiply(
    _ a: MatrixView, _ b: MatrixView, into c: UnsafeMutablePointer<Float>, stride: Int,
    rows: Int, columns: Int, inner: Int, scale: Float = 1, accumulating: Bool = false
) {
    guard rows > 0, columns > 0 else { return }
    OpenBLAS.singleThreaded
    cblas_sgemm(
        CblasRowMajor, a.transposed ? CblasTrans : CblasNoTrans, b.transposed ? CblasTrans : CblasNoTrans,
        blasint(rows), blasint(columns), blasint(inner), scale, a.start, blasint(a.stride), b.start,
        blasint(b.stride), accumulating ? 1 : 0, c, blasint(stride))
}

private enum OpenBLAS {
    /// Set once, before the first product: the first use of a static waits for its initialiser.
    static let singleThreaded: Void = openblas_set_num_threads(1)
}
