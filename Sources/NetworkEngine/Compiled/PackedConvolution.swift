import CVoxelKernels
import TensorFiles

/// The weights of a convolution or a linear map, in the order in which the kernels read them.
struct PackedConvolution: Sendable {
    /// How it is computed.
    enum Form {
        /// F(4 x 4, 3 x 3): 36 numbers for each nine of a kernel, a quarter of the multiplications.
        case winograd
        /// One product over every place of the kernel and every channel.
        case direct
    }

    let form: Form
    let inputs, outputs: Int
    let geometry: KernelGeometry
    /// Winograd: `[36][output blocks][planes of the kernel][inputs][16]`; direct: `[output blocks][kernel
    /// places][inputs][16]`; inputs up to a whole block.
    let numbers: FloatBuffer
    let bias: FloatBuffer?

    /// Inputs, up to a whole number of blocks.
    var paddedInputs: Int { Block.count(inputs) * Block.lanes }

    /// The bytes of the weights of one layer in a form.
    static func byteCount(outputs: Int, inputs: Int, geometry: KernelGeometry, form: Form) -> Int {
        let pairs = Block.count(outputs) * Block.lanes * Block.count(inputs) * Block.lanes
        let places = form == .winograd ? 36 * geometry.kernel.planes : geometry.places
        return pairs * places * MemoryLayout<Float>.size
    }

    /// Packs weights of `[outputs, inputs, kernel...]`, in memory from `pool` if it is given.
    init(
        _ weight: Tensor, bias: Tensor?, geometry: KernelGeometry, form: Form, from pool: BufferPool? = nil
    ) {
        (outputs, inputs) = (weight.shape[0], weight.shape[1])
        (self.geometry, self.form) = (geometry, form)
        self.bias = bias.map { FloatBuffer($0.values) }
        let (outputBlocks, inputBlocks) = (Block.count(outputs), Block.count(inputs))
        let bytes = Self.byteCount(outputs: outputs, inputs: inputs, geometry: geometry, form: form)
        numbers = FloatBuffer(uninitialized: bytes / MemoryLayout<Float>.size, from: pool)

        // Winograd's form is that of each plane of a kernel by itself.
        let (places, planes) = (geometry.places, form == .winograd ? geometry.kernel.planes : 1)
        let inner = inputBlocks * Block.lanes
        let tile = FloatBuffer(uninitialized: Block.lanes * places / planes * Block.lanes)
        for outputBlock in 0..<outputBlocks {
            for (plane, inputBlock) in (0..<planes).flatMap({ p in (0..<inputBlocks).map { (p, $0) } }) {
                weight.copyTile(
                    outputBlock: outputBlock, inputBlock: inputBlock, places: places,
                    range: plane * places / planes..<(plane + 1) * places / planes, to: tile.start)
                switch form {
                case .winograd:
                    let start = (outputBlock * planes + plane) * inner + inputBlock * Block.lanes
                    Block.kernels.winograd_weights(
                        tile.start, numbers.start + start * Block.lanes,
                        outputBlocks * planes * inner * Block.lanes)
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
    /// Some places of sixteen inputs of sixteen outputs of `[outputs, inputs, places...]`, as
    /// `[inputs][range][outputs]`, zeros where there are fewer.
    fileprivate func copyTile(
        outputBlock: Int, inputBlock: Int, places: Int, range: Range<Int>, to tile: UnsafeMutablePointer<Float>
    ) {
        let (outputs, inputs) = (shape[0], shape[1])
        let inputCount = min(Block.lanes, inputs - inputBlock * Block.lanes)
        values.withUnsafeBufferPointer { values in
            for lane in 0..<Block.lanes {
                let output = outputBlock * Block.lanes + lane
                let count = output < outputs ? inputCount : 0
                for input in 0..<Block.lanes {
                    let start = (output * inputs + inputBlock * Block.lanes + input) * places
                    for place in range {
                        let index = input * range.count + place - range.lowerBound
                        tile[index * Block.lanes + lane] = input < count ? values[start + place] : 0
                    }
                }
            }
        }
    }
}
