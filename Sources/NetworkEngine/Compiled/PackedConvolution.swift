import CVoxelKernels
import TensorFiles

/// The weights of a convolution or a linear map, in the order in which the kernels read them.
struct PackedConvolution: Sendable {
    /// How it is computed.
    enum Form {
        /// F(4 x 4, 3 x 3): 36 numbers for each nine of a kernel, a quarter of the multiplications. Along planes F(2, 3):
        /// four numbers for three, two thirds of the multiplications.
        case winograd
        /// One product over every place of the kernel and every channel.
        case direct
    }

    let form: Form
    let inputs, outputs: Int
    let geometry: KernelGeometry
    /// Winograd: `[36][output blocks][depths][inputs][16]`; direct: `[output blocks][kernel
    /// places][inputs][16]`; inputs up to a whole block.
    let numbers: FloatBuffer
    let bias: FloatBuffer?

    /// Inputs, up to a whole number of blocks.
    var paddedInputs: Int { Block.count(inputs) * Block.lanes }

    /// What a kernel's planes become in Winograd's form: one, or four of three.
    static func depths(_ geometry: KernelGeometry) -> Int { geometry.kernel.planes == 3 ? 4 : 1 }

    /// The bytes of the weights of one layer in a form.
    static func byteCount(outputs: Int, inputs: Int, geometry: KernelGeometry, form: Form) -> Int {
        let pairs = Block.count(outputs) * Block.lanes * Block.count(inputs) * Block.lanes
        let places = form == .winograd ? 36 * depths(geometry) : geometry.places
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

        let (places, depths) = (geometry.places, Self.depths(geometry))
        let inner = inputBlocks * Block.lanes
        let tileSize = Block.lanes * places * Block.lanes
        let tile = FloatBuffer(uninitialized: tileSize)
        for outputBlock in 0..<outputBlocks {
            for inputBlock in 0..<inputBlocks {
                switch form {
                case .winograd:
                    let planes = geometry.kernel.planes
                    let planeSize = tileSize / planes
                    for plane in 0..<planes {
                        weight.copyTile(
                            outputBlock: outputBlock, inputBlock: inputBlock, places: places,
                            range: plane * 9..<(plane + 1) * 9, to: tile.start + plane * planeSize)
                    }
                    let kernels = planes == 3 ? Self.pairForm(tile.start, planeSize) : [tile]
                    for (depth, kernel) in kernels.enumerated() {
                        let start = (outputBlock * depths + depth) * inner + inputBlock * Block.lanes
                        Block.kernels.winograd_weights(
                            kernel.start, numbers.start + start * Block.lanes,
                            outputBlocks * depths * inner * Block.lanes)
                    }
                case .direct:
                    weight.copyTile(
                        outputBlock: outputBlock, inputBlock: inputBlock, places: places, range: 0..<places,
                        to: tile.start)
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

    /// Three planes g of a kernel in the form of F(2, 3): g0, (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2, g2.
    private static func pairForm(_ planes: UnsafeMutablePointer<Float>, _ size: Int) -> [FloatBuffer] {
        let (g0, g1, g2) = (planes, planes + size, planes + 2 * size)
        return (0..<4).map { depth in
            let result = FloatBuffer(uninitialized: size)
            for index in 0..<size {
                let ends = g0[index] + g2[index]
                result.start[index] =
                    switch depth {
                    case 0: g0[index]
                    case 1: (ends + g1[index]) / 2
                    case 2: (ends - g1[index]) / 2
                    default: g2[index]
                    }
            }
            return result
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
