/// Attention among the pixels of an image, added to it: `[batch, channels, ...]` to the same shape.
///
/// One convolution gives queries, keys and values; each head's three are neighbours among its outputs.
struct SelfAttention: Layer {
    let heads, headChannels: Int
    let norm: GroupNorm
    let queriesKeysValues: Convolution
    let output: Convolution

    /// Parameters `path.norm`, `path.qkv` and `path.proj_out`, whose kernels have one axis, the pixels.
    init(_ path: String, channels: Int, headChannels: Int) {
        self.headChannels = headChannels
        heads = channels / headChannels
        norm = GroupNorm("\(path).norm", channels: channels)
        queriesKeysValues = Convolution("\(path).qkv", inputs: channels, outputs: 3 * channels, kernel: [1])
        output = Convolution("\(path).proj_out", inputs: channels, outputs: channels, kernel: [1])
    }

    var parameters: [Parameter] { norm.parameters + queriesKeysValues.parameters + output.parameters }

    /// `[batch, channels, ...]` to the same shape.
    func callAsFunction<A: LayerArithmetic>(_ x: A.Value, with arithmetic: A) -> A.Value {
        let shape = arithmetic.shape(of: x)
        let (batch, channels, pixels) = (shape[0], shape[1], shape[2...].reduce(1, *))
        let flat = arithmetic.reshaped(x, [batch, channels, pixels])

        let all = arithmetic.transposed(queriesKeysValues(norm(flat, with: arithmetic), with: arithmetic))
        let perHead = arithmetic.reshaped(all, [batch, pixels, heads, 3 * headChannels])
        let third = { (index: Int) in
            arithmetic.reshaped(
                arithmetic.slice(perHead, axis: 3, index * headChannels..<(index + 1) * headChannels),
                [batch, pixels, channels])
        }
        let attended = arithmetic.attention(queries: third(0), keys: third(1), values: third(2), heads: heads)
        let change = output(arithmetic.transposed(attended), with: arithmetic)
        return arithmetic.reshaped(arithmetic.sum(flat, change), shape)
    }
}
