public import Networks

extension ParameterSet {
    /// The parameters that training of a U-Net begins with, a function of the seed alone.
    ///
    /// - Convolutions and linear maps, weights and biases: evenly from -b to b with b = 1 / sqrt(inputs of one
    ///   output), which is PyTorch's default (He et al., arXiv 1502.01852, with a gain of 1 / sqrt(3)).
    /// - Normalisations: scale 1, shift 0.
    /// - The last convolution of every residual block, of every attention, and of the network: 0, so that each block
    ///   begins as the identity and the network with an output of 0 (Dhariwal, Nichol, arXiv 2105.05233, whose
    ///   network this is).
    ///
    /// - Parameters:
    ///   - parameters: those of the network, whose names end in `weight` and `bias`.
    ///   - seed: which of 2^64 beginnings.
    public init(initial parameters: [Parameter], seed: UInt64) {
        let shapes = Dictionary(uniqueKeysWithValues: parameters.map { ($0.name, $0.shape) })
        var index: UInt32 = 0
        let randomness = Randomness(seed: seed)
        let arrays = parameters.map { parameter -> [Float] in
            defer { index += 1 }
            let count = parameter.shape.reduce(1, *)
            let path = parameter.name.split(separator: ".").dropLast().joined(separator: ".")
            guard let weight = shapes["\(path).weight"], weight.count > 1 else {
                return [Float](repeating: parameter.name.hasSuffix(".weight") ? 1 : 0, count: count)
            }
            if path == "out.2" || path.hasSuffix(".out_layers.3") || path.hasSuffix(".proj_out") {
                return [Float](repeating: 0, count: count)
            }
            let bound = 1 / Float(weight[1...].reduce(1, *)).squareRoot()
            return randomness.evenlySpread(count, of: index).map { bound * $0 }
        }
        self.init(parameters, arrays: arrays)
    }
}
