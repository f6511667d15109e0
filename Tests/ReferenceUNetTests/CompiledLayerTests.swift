import ReferenceUNet
import TensorTestSupport
import Tensors
import TestSupport
import Testing

/// U-Nets of any configuration, compiled, are what plain arithmetic gives, at the worst of their layers.
struct CompiledLayerTests {
    @Test func everyLayerOfAnyNetworkAgrees() async {
        await checkLaw(cases: 5) { generator in
            let configuration = generator.configuration()
            try configuration.validate()
            let multiple = configuration.sizeMultiple
            let rows = multiple * Int.random(in: 2...4, using: &generator)
            let columns = multiple * Int.random(in: 2...5, using: &generator)

            let trace = PlainTrace(&generator)
            let architecture = UNetArchitecture(configuration)
            let images = architecture.imageChannels.map { trace.image($0, rows, columns) }
            let shared = architecture.sharedShapes.map { trace.shared($0) }
            let output = architecture(images: images, shared: shared, with: trace)

            let whole = try trace.compiled(output)
            try #require(whole.error < 2e-4, "the output is off by \(whole.error)")
            // Residual blocks and transformers end in sums; within them, convolutions and linear maps do the work.
            let worst = try trace.worst { $0.hasPrefix("sum") || $0.hasPrefix("convolution") }
            print("\(rows) x \(columns), output: relative L2 \(whole.error); worst: \(worst.error)")
            try #require(worst.error < 2e-4, "\(worst.place) is off by \(worst.error)")
        }
    }
}
