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
    var paddedInputs: Int { Block.count(inputs) * Block.lanes }

    /// The bytes of the weights of one layer in a form.
    static func byteCount(outputs: Int, inputs: Int, places: Int, form: Form) -> Int {
        let pairs = Block.count(outputs) * Block.lanes * Block.count(inputs) * Block.lanes
        return pairs * (form == .winograd ? 36 : places) * MemoryLayout<Float>.size
    }

    /// Packs weights of `[outputs, inputs, kernel...]`, in memory from `pool` if it is given.
    init(_ weight: Tensor, bias: Tensor?, stride: Int, form: Form, from pool: BufferPool? = nil) {
        (outputs, inputs) = (weight.shape[0], weight.shape[1])
        let places = weight.shape[2...].reduce(1, *)
        kernel = weight.shape.count > 2 ? weight.shape[2] : 1
        (self.stride, self.form) = (stride, form)
        self.bias = bias.map { FloatBuffer($0.values) }
        let (outputBlocks, inputBlocks) = (Block.count(outputs), Block.count(inputs))
        let bytes = Self.byteCount(outputs: outputs, inputs: inputs, places: places, form: form)
        numbers = FloatBuffer(uninitialized: bytes / MemoryLayout<Float>.size, from: pool)

        let inner = inputBlocks * Block.lanes
        let tile = FloatBuffer(uninitialized: Block.lanes * places * Block.lanes)
        for outputBlock in 0..<outputBlocks {
            for inputBlock in 0..<inputBlocks {
                weight.copyTile(
                    outputBlock: outputBlock, inputBlock: inputBlock, places: places, to: tile.start)
                switch form {
                case .winograd:
                    let target = numbers.start + (outputBlock * inner + inputBlock * Block.lanes) * Block.lanes
                    Block.kernels.winograd_weights(tile.start, target, outputBlocks * inner * Block.lanes)
                case .direct:
                    for place in 0..<places {
                        let start = (outputBlock * places + place) * inner + inputBlock * Block.lanes
                        for lane in 0..<Block.lanes {
                            (numbers.start + (start + lane) * Block.lanes).update(
                                from: tile.start + (lane * places + place) * Block.lanes, count: Block.lanes)
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
        let inputCount = min(Block.lanes, inputs - inputBlock * Block.lanes)
        values.withUnsafeBufferPointer { values in
            for lane in 0..<Block.lanes {
                let output = outputBlock * Block.lanes + lane
                let count = output < outputs ? inputCount * places : 0
                let start = (output * inputs + inputBlock * Block.lanes) * places
                for index in 0..<count { tile[index * Block.lanes + lane] = values[start + index] }
                for index in count..<Block.lanes * places { tile[index * Block.lanes + lane] = 0 }
            }
        }
    }
}
