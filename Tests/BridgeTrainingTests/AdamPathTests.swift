import BridgeTraining
import Foundation
import Networks
import TensorFiles
import TestSupport
import Testing

struct AdamPathTests {
    /// Five steps down a bowl of known slope: each of two paths, in single and in double precision, takes the slope
    /// where it is. Curvatures of 1e-7 to 1e3 give slopes on either side of epsilon; a slope of 0 makes no step.
    @Test func pathsInSinglePrecisionStayWithThoseInDouble() async {
        await checkLaw { generator in
            let count = generator.size(in: 2...50)
            let start = (0..<count).map { _ in Float.random(in: 0.5...1.5, using: &generator) }
            let curvatures = (0..<count).map {
                $0 % 5 == 1 ? 0 : Float(pow(10, Double.random(in: -7...3, using: &generator)))
            }
            let parameter = Parameter("p", [count])
            func set(_ values: [Float]) throws -> ParameterSet {
                try ParameterSet([parameter]) { _ in Tensor(shape: [count], values: values) }
            }
            let settings = OptimizerSettings()
            var single = try set(start)
            var optimizer = AdamOptimizer(settings, for: single)
            var double = start.map { Double($0) }
            var (m, v) = ([Double](repeating: 0, count: count), [Double](repeating: 0, count: count))
            for step in 1...5 {
                optimizer.step(
                    &single, against: try set(zip(curvatures, single.arrays[0]).map { $0 * $1 }), rate: 1e-3)
                for i in 0..<count {
                    let slope = Double(curvatures[i]) * double[i]
                    m[i] = settings.beta1 * m[i] + (1 - settings.beta1) * slope
                    v[i] = settings.beta2 * v[i] + (1 - settings.beta2) * slope * slope
                    let mean = m[i] / (1 - pow(settings.beta1, Double(step)))
                    let square = v[i] / (1 - pow(settings.beta2, Double(step)))
                    double[i] -= 1e-3 * mean / (square.squareRoot() + settings.epsilon)
                }
            }
            for i in 0..<count {
                try #require(abs(Double(single.arrays[0][i]) - double[i]) <= 1e-6 * abs(double[i]))
                try #require(curvatures[i] != 0 || single.arrays[0][i] == start[i])
            }
        }
    }
}
