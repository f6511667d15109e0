import CVoxelKernels
import TensorFiles

/// The weights of a convolution or a linear map, in the order in which the kernels read them.
struct PackedConvolution: Sendable {
    /// How it is computed.
    enum Form {
        /// F(4 x 4, 3 x 3): 36 numbers for each kernel of nine, a quarter of the multiplications.
        case winograd
        /// One product over every place of the kernel and every channel.
        case direct
    }

    let form: Form
    let inputs, outputs, kernel, stride: Int
    /// Winograd: `[36][output blocks][inputs][16]`; direct: `[output blocks][kernel places][inputs][16]`; inputs up
    /// to a whole block.
    let numbers: FloatBuffer
    let bias: FloatBuffer?

    var padding: Int { kernel / 2 }
    /// Inputs, up to a whole number of blocks.
    var paddedInputs: Int { blocks(inputs) * lanes }

    /// The bytes of the weights of one layer in a form.
    static func byteCount(outputs: Int, inputs: Int, places: Int, form: Form) -> Int {
        let pairs = blocks(outputs) * lanes * blocks(inputs) * lanes
        return pairs * (form == .winograd ? 36 : places) * MemoryLayout<Float>.size
    }

    /// Packs weights of `[outputs, inputs, kernel...]`, in memory from `pool` if it is given.
    init(_ weight: Tensor, bias: Tensor?, stride: Int, form: Form, from pool: BufferPool? = nil) {
        (outputs, inputs) = (weight.shape[0], weight.shape[1])
        let places = weight.shape[2...].reduce(1, *)
        kernel = weight.shape.count > 2 ? weight.shape[2] : 1
        (self.stride, self.form) = (stride, form)
        self.bias = bias.map { FloatBuffer($0.values) }
        let (outputBlocks, inputBlocks) = (NetworkEngine.blocks(outputs), NetworkEngine.blocks(inputs))
        let bytes = Self.byteCount(outputs: outputs, inputs: inputs, places: places, form: form)
        numbers = FloatBuffer(uninitialized: bytes / MemoryLayout<Float>.size, from: pool)

        let inner = inputBlocks * lanes
        let tile = FloatBuffer(uninitialized: lanes * places * lanes)
        for outputBlock in 0..<outputBlocks {
            for inputBlock in 0..<inputBlocks {
                weight.copyTile(
                    outputBlock: outputBlock, inputBlock: inputBlock, places: places, to: tile.start)
                switch form {
                case .winograd:
                    let target = numbers.start + (outputBlock * inner + inputBlock * lanes) * lanes
                    kernels.winograd_weights(tile.start, target, outputBlocks * inner * lanes)
                case .direct:
                    for place in 0..<places {
                        let start = (outputBlock * places + place) * inner + inputBlock * lanes
                        for lane in 0..<lanes {
                            (numbers.start + (start + lane) * lanes).update(
                                from: tile.start + (lane * places + place) * lanes, count: lanes)
                        }
                    }
                }
            }
        }
    }
}

extension Tensor {
    /// Sixteen inputs of sixteen outputs of `[outputs, inputs, places...]`, as `[inputs][places][outputs]`, zeros
    /// where there are fewer.
    fileprivate func copyTile(
        outputBlock: Int, inputBlock: Int, places: Int, to tile: UnsafeMutablePointer<Float>
    ) {
        let (outputs, inputs) = (shape[0], shape[1])
        let inputCount = min(lanes, inputs - inputBlock * lanes)
        values.withUnsafeBufferPointer { values in
            for lane in 0..<lanes {
                let output = outputBlock * lanes + lane
                let count = output < outputs ? inputCount * places : 0
                let start = (output * inputs + inputBlock * lanes) * places
                for index in 0..<count { tile[index * lanes + lane] = values[start + index] }
                for index in count..<lanes * places { tile[index * lanes + lane] = 0 }
            }
        }
    }
}
