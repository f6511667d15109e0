import Networks
import TensorFiles

extension Tensor {
    /// Values seeded by a parameter's name, with a standard deviation of 0.05, and around 1 for scales of normalisations,
    /// so that outputs neither overflow nor vanish.
    init(random parameter: Parameter) {
        let isScale = parameter.shape.count == 1 && parameter.name.hasSuffix(".weight")
        self.init(
            shape: parameter.shape, randomFrom: parameter.name, around: isScale ? 1 : 0, deviation: 0.05)
    }

    /// Uniformly distributed values seeded by a name.
    init(shape: [Int], randomFrom name: String, around mean: Float = 0, deviation: Float = 0.5) {
        var state = name.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        let halfWidth = deviation * Float(3).squareRoot()
        let count = shape.reduce(1, *)
        let values = [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
            for index in 0..<count {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                let unit = Float(Int32(truncatingIfNeeded: state >> 32)) / Float(1 << 31)
                buffer[index] = mean + halfWidth * unit
            }
            initialized = count
        }
        self.init(shape: shape, values: values)
    }
}
