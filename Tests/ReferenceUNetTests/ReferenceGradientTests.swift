import Foundation
import NetworkEngine
import Networks
import ReferenceUNet
import TensorFiles
import TestSupport
import Testing

/// Losses and gradients of one batch, computed in double precision by other software.
@Suite(.enabled(if: Fixtures.hasReference, Fixtures.missingReference))
struct ReferenceGradientTests {
    @Test(arguments: ["l1", "l2"])
    func everyGradientAgrees(loss name: String) throws {
        let batch = try TrainingBatch()
        let (loss, gradients) = try batch.gradients(name)
        let expected = Double(try batch.file.tensor("loss.\(name)").values[0])
        print("loss \(name): relative error \(abs(loss / expected - 1))")
        #expect(abs(loss / expected - 1) < 1e-6)
        var worst = (name: "", error: 0.0)
        for (parameter, gradient) in gradients {
            let reference = try batch.file.tensor("grad.\(name).\(parameter)").values
            // What is added to a channel that is normalised by itself changes nothing: its gradient is 0, and in
            // floating point what rounding leaves of it.
            if norm(reference) < 1e-12 {
                #expect(norm(gradient.values) < 1e-6, "\(parameter)")
                continue
            }
            let error = relativeL2(gradient.values, reference)
            if error > worst.error { worst = (parameter, error) }
            #expect(error < 1e-4, "\(parameter)")
        }
        print("gradients \(name): worst relative L2 \(worst)")
    }
}

func norm(_ values: [Float]) -> Double {
    values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
}

/// The batch of the reference, and the network that it trains.
struct TrainingBatch {
    let file: Safetensors
    let architecture: UNetArchitecture
    let parameters: [String: Tensor]
    let noisy, source, target, time, key: Tensor

    init() throws {
        let file = try Safetensors(contentsOf: Fixtures.reference("training.safetensors"))
        self.file = file
        let configuration = try UNetConfiguration(contentsOf: Fixtures.reference("unet_training.json"))
        let architecture = UNetArchitecture(configuration)
        self.architecture = architecture
        parameters = try architecture.parameters.reduce(into: [:]) {
            $0[$1.name] = try file.tensor("param.\($1.name)")
        }
        let (x0, noise, times) = (try file.tensor("x0"), try file.tensor("eps"), try file.tensor("t").values)
        let y = try file.tensor("y")
        let item = x0.count / times.count
        let values = x0.values.indices.map { index -> Float in
            let m = 0.001 + 0.998 * Double(times[index / item]) / 999
            let deviation = (2 * (m - m * m)).squareRoot()
            return Float(
                (1 - m) * Double(x0.values[index]) + m * Double(y.values[index])
                    + deviation * Double(noise.values[index]))
        }
        source = y
        noisy = Tensor(shape: x0.shape, values: values)
        target = Tensor(shape: x0.shape, values: zip(values, x0.values).map { $0 - $1 })
        time = architecture.sinusoids(of: times)
        key = try file.tensor("key")
    }

    func gradients(_ loss: String, threads: Int = 2) throws -> (loss: Double, gradients: [String: Tensor]) {
        let gradients = NetworkGradients(options: ComputeOptions(threads: threads))
        return try gradients(architecture, parameters: parameters, images: [noisy, source], shared: [time, key]) { output in
            let differences = zip(output.values, target.values).map { Double($0) - Double($1) }
            let count = Double(differences.count)
            let value = differences.reduce(0) { $0 + (loss == "l1" ? abs($1) : $1 * $1) } / count
            let slopes = differences.map {
                Float((loss == "l1" ? ($0 > 0 ? 1 : $0 < 0 ? -1 : 0) : 2 * $0) / count)
            }
            return (value, Tensor(shape: output.shape, values: slopes))
        }
    }
}
