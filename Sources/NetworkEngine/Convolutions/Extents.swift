import Networks

/// The size of an image in pixels: planes of rows of columns. A slice has one plane, tokens have one row.
struct Extents: Equatable, Sendable {
    var planes = 1
    var rows = 1
    var columns: Int
    var pixels: Int { planes * rows * columns }
}

extension Extents {
    /// The extents of one to three spatial axes, the last of which are columns.
    init(_ spatial: some Collection<Int>) {
        let all = [Int](repeating: 1, count: max(0, 3 - spatial.count)) + spatial
        self.init(planes: all[0], rows: all[1], columns: all[2])
    }
}

/// A convolution's kernel: its extents, and where it is put on an image.
struct KernelGeometry: Equatable, Sendable {
    let kernel: Extents
    let stride: Int
    /// Zeros before the first and after the last pixel of each axis.
    let before, after: Extents

    /// A single pixel in place: a linear map of each pixel.
    static let point = KernelGeometry(
        kernel: Extents(columns: 1), stride: 1, before: .none, after: .none)

    /// 3 x 3 pixels of a plane, keeping its size.
    static let square3 = KernelGeometry(
        kernel: Extents(rows: 3, columns: 3), stride: 1, before: Extents(planes: 0, rows: 1, columns: 1),
        after: Extents(planes: 0, rows: 1, columns: 1))

    /// The pixels of the kernel.
    var places: Int { kernel.pixels }
    /// Whether the kernel has a Winograd form: 3 x 3 in the plane and 1 or 3 in depth, with a stride of 1, keeping the
    /// size of the image.
    var isWinograd: Bool {
        let padding = Extents(planes: kernel.planes / 2, rows: 1, columns: 1)
        return stride == 1 && kernel.rows == 3 && kernel.columns == 3 && [1, 3].contains(kernel.planes)
            && before == padding && after == padding
    }

    /// The size of the result for that of an image.
    func result(of image: Extents) -> Extents {
        let extent = { (axis: KeyPath<Extents, Int>) in
            let padded = before[keyPath: axis] + image[keyPath: axis] + after[keyPath: axis]
            return (padded - kernel[keyPath: axis]) / stride + 1
        }
        return Extents(planes: extent(\.planes), rows: extent(\.rows), columns: extent(\.columns))
    }
}

extension KernelGeometry {
    /// The geometry of a layer, or nil where there are no kernels for it: along all axes the stride is the same, 1 or 2.
    init?(_ layer: Convolution) {
        guard (1...3).contains(layer.kernel.count), (1...2).contains(layer.stride[0]),
            layer.stride.allSatisfy({ $0 == layer.stride[0] }),
            layer.padding.allSatisfy({ $0.before >= 0 && $0.after >= 0 })
        else { return nil }
        let missing = [Int](repeating: 0, count: 3 - layer.kernel.count)
        self.init(
            kernel: Extents(layer.kernel), stride: layer.stride[0],
            before: Extents(missing + layer.padding.map(\.before)),
            after: Extents(missing + layer.padding.map(\.after)))
    }
}

extension Extents {
    fileprivate static let none = Extents(planes: 0, rows: 0, columns: 0)
}
