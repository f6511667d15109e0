import TensorFiles

/// How the parameters of latent networks lie in files of the public code.
///
/// There a volume is indexed (x, y, z), z fastest. A `Volume` stores x fastest, so tensors here are `[..., z, y, x]`, and
/// volumes need no transposing: the kernels are, once. Every other operation treats the axes alike.
package enum StoredLayout {
    /// The name of the table of class embeddings, `[classes, width]`, which `LatentUNet3D` has as a linear map.
    private static let embedding = "label_emb.weight"

    /// The shape of a parameter in a file.
    package static func shape(of parameter: Parameter) -> [Int] {
        parameter.name == embedding
            ? parameter.shape.reversed() : reversingSpatialAxes(parameter.shape)
    }

    /// A parameter's numbers from a file, or for one: the conversion is its own inverse.
    package static func converted(_ tensor: Tensor, of parameter: Parameter) -> Tensor {
        parameter.name == embedding ? tensor.transposed() : tensor.reversingSpatialAxes()
    }

    private static func reversingSpatialAxes(_ shape: [Int]) -> [Int] {
        shape.count == 5 ? shape[..<2] + shape[2...].reversed() : shape
    }
}

extension Tensor {
    /// `[a, b, x, y, z]` to `[a, b, z, y, x]`, and back; a tensor of other than five axes as it is. O(n).
    package func reversingSpatialAxes() -> Tensor {
        guard shape.count == 5, shape[2...].contains(where: { $0 != 1 }) else { return self }
        let (outer, x, y, z) = (shape[0] * shape[1], shape[2], shape[3], shape[4])
        return Tensor(shape: shape[..<2] + [z, y, x]) { result in
            values.withUnsafeBufferPointer { source in
                var target = 0
                for start in (0..<outer).map({ $0 * x * y * z }) {
                    for c in 0..<z {
                        for b in 0..<y {
                            for a in 0..<x {
                                result[target] = source[start + (a * y + b) * z + c]
                                target += 1
                            }
                        }
                    }
                }
            }
        }
    }
}
