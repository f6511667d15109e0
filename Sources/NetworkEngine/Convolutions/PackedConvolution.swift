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

    /// Packs weights.
    ///
    /// - Parameters:
    ///   - weight: `[outputs, inputs, kernel...]`.
    ///   - bias: `[outputs]`, or nil.
    ///   - geometry: that of the kernel.
    ///   - form: how it is to be computed.
    ///   - isAdjoint: whether weights are `[inputs, outputs, kernel...]`, and each kernel is to be rotated by half a turn, as
    ///     the gradient of a convolution's result is convolved.
    ///   - pool: memory.
    ///   - workers: the threads to split it over.
    init(
        _ weight: Tensor, bias: Tensor?, geometry: KernelGeometry, form: Form, isAdjoint: Bool = false,
        from pool: BufferPool? = nil, workers: WorkerPool = .alone
    ) {
        outputs = weight.shape[isAdjoint ? 1 : 0]
        inputs = weight.shape[isAdjoint ? 0 : 1]
        (self.geometry, self.form) = (geometry, form)
        self.bias = bias.map { FloatBuffer($0.values) }
        let (outputBlocks, inputBlocks) = (Block.count(outputs), Block.count(inputs))
        let bytes = Self.byteCount(outputs: outputs, inputs: inputs, geometry: geometry, form: form)
        numbers = FloatBuffer(uninitialized: bytes / MemoryLayout<Float>.size, from: pool)

        let (places, depths) = (geometry.places, Self.depths(geometry))
        let inner = inputBlocks * Block.lanes
        let (numbers, form) = (numbers, form)
        // For each worker the tile of a kernel, and a plane in Winograd's form along planes.
        let tileSize = Block.lanes * (places + 9) * Block.lanes
        let tiles = FloatBuffer(uninitialized: form == .winograd ? workers.threads * tileSize : 0)
        workers.split(outputBlocks * inputBlocks) { pairs, worker in
            for pair in pairs {
                let (outputBlock, inputBlock) = pair.quotientAndRemainder(dividingBy: inputBlocks)
                func copy(to tile: UnsafeMutablePointer<Float>, inputStride: Int, placeStride: Int) {
                    weight.copyTile(
                        outputBlock: outputBlock, inputBlock: inputBlock, places: places, isAdjoint: isAdjoint,
                        to: tile, inputStride: inputStride, placeStride: placeStride)
                }
                switch form {
                case .winograd:
                    let tile = tiles.start + worker * tileSize
                    let plane = tile + Block.lanes * places * Block.lanes
                    copy(to: tile, inputStride: places * Block.lanes, placeStride: Block.lanes)
                    for depth in 0..<depths {
                        if depths == 4 { Self.pairForm(depth, of: tile, to: plane) }
                        let start = (outputBlock * depths + depth) * inner + inputBlock * Block.lanes
                        Block.kernels.winograd_weights(
                            depths == 4 ? plane : tile, 9 * Block.lanes, numbers.start + start * Block.lanes,
                            outputBlocks * depths * inner * Block.lanes)
                    }
                case .direct:
                    let start = outputBlock * places * inner + inputBlock * Block.lanes
                    copy(
                        to: numbers.start + start * Block.lanes, inputStride: Block.lanes,
                        placeStride: inner * Block.lanes)
                }
            }
        }
    }

    /// One of the four sums of a kernel's three planes g in the form of F(2, 3): g0, (g0 + g1 + g2) / 2,
    /// (g0 - g1 + g2) / 2, -g2.
    private static func pairForm(
        _ depth: Int, of tile: UnsafeMutablePointer<Float>, to result: UnsafeMutablePointer<Float>
    ) {
        let size = 9 * Block.lanes
        for input in 0..<Block.lanes {
            let (g0, target) = (tile + input * 3 * size, result + input * size)
            let (g1, g2) = (g0 + size, g0 + 2 * size)
            switch depth {
            case 0: target.update(from: g0, count: size)
            case 1: for index in 0..<size { target[index] = (g0[index] + g2[index] + g1[index]) / 2 }
            case 2: for index in 0..<size { target[index] = (g0[index] + g2[index] - g1[index]) / 2 }
            default: for index in 0..<size { target[index] = -g2[index] }
            }
        }
    }
}

extension Tensor {
    /// The weights of sixteen inputs of sixteen outputs, zeros where there are fewer: for each input, `inputStride` apart,
    /// and each place of the kernel, `placeStride` apart, those of sixteen outputs.
    fileprivate func copyTile(
        outputBlock: Int, inputBlock: Int, places: Int, isAdjoint: Bool,
        to tile: UnsafeMutablePointer<Float>, inputStride: Int, placeStride: Int
    ) {
        let (firstOutput, firstInput) = (outputBlock * Block.lanes, inputBlock * Block.lanes)
        let outputs = min(Block.lanes, shape[isAdjoint ? 1 : 0] - firstOutput)
        let inputs = min(Block.lanes, shape[isAdjoint ? 0 : 1] - firstInput)
        values.withUnsafeBufferPointer { values in
            guard let start = values.baseAddress else { return }
            if isAdjoint && places == 1 {
                for input in 0..<inputs {
                    let target = tile + input * inputStride
                    target.update(from: start + (firstInput + input) * shape[1] + firstOutput, count: outputs)
                    (target + outputs).update(repeating: 0, count: Block.lanes - outputs)
                }
            } else if isAdjoint {
                for input in 0..<inputs {
                    Block.kernels.pack(
                        start + ((firstInput + input) * shape[1] + firstOutput) * places, places, outputs, 1,
                        places, tile + input * inputStride + (places - 1) * placeStride, inputStride,
                        -placeStride)
                }
            } else {
                Block.kernels.pack(
                    start + (firstOutput * shape[1] + firstInput) * places, shape[1] * places, outputs, inputs,
                    places, tile, inputStride, placeStride)
            }
        }
        for input in inputs..<Block.lanes {
            for place in 0..<places {
                (tile + input * inputStride + place * placeStride).update(repeating: 0, count: Block.lanes)
            }
        }
    }
}
