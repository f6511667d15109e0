import DenoisingServer
import Foundation
import InferenceProtocol
import RemoteDenoising
import TestSupport
import Testing

/// A server's model is compared with what is expected before anything is sampled.
struct MetadataTests {
    private func failure(
        _ metadata: ModelMetadata, model: RemoteModel = RemoteModel(),
        extensions: [String] = [ServerMetadata.binaryExtension]
    ) async throws -> String {
        try await withScriptedServer(
            metadata: metadata, extensions: extensions, respond: { _, right in try right() }
        ) { address in
            let error = await #expect(throws: RemoteDenoisingError.self) {
                _ = try await RemoteDenoiser([address], model: model, options: impatient)
            }
            #expect("\(error!)".contains(address), "\(error!)")
            return "\(error!)"
        }
    }

    private func metadata(
        x: [Int] = [-1, 3, -1, -1], y: [Int] = [-1, 3, -1, -1], more: [TensorDescription] = [],
        datatype: String = "FP32", output: String = "out"
    ) -> ModelMetadata {
        var metadata = ModelMetadata.mixing
        metadata.inputs =
            [
                TensorDescription(name: "x", datatype: datatype, shape: x),
                TensorDescription(name: "y", shape: y),
            ] + more
        metadata.outputs = [TensorDescription(name: output, shape: x)]
        return metadata
    }

    @Test func anErrorShowsBothSides() async throws {
        let unknown = try await failure(metadata(more: [TensorDescription(name: "mask", shape: [-1])]))
        #expect(unknown.contains("'mask' is another"))
        #expect(unknown.contains("x FP32 [-1, 3, -1, -1], y FP32 [-1, 3, -1, -1], mask FP32 [-1]"))
        #expect(try await failure(metadata(output: "pred")).contains("expected an output named 'out'"))
        #expect(try await failure(metadata(datatype: "BYTES")).contains("the datatype of 'x' cannot be sent"))
        #expect(try await failure(metadata(datatype: "INT8")).contains("expected 'x' to be one of FP32"))
        #expect(try await failure(metadata(y: [-1, 5, -1, -1])).contains("expected 'y' to have the shape"))
        #expect(try await failure(metadata(x: [-1, 3], y: [-1, 3])).contains("4 or 5 axes"))
        let anything = metadata(x: [-1, -1, -1, -1], y: [-1, -1, -1, -1])
        #expect(try await failure(anything).contains("state the radius"))
        #expect(
            try await failure(metadata(more: [TensorDescription(name: "key", shape: [-1, 128])])).contains(
                "[-1, 3, bins]"))
        var wide = RemoteModel()
        wide.radius = 2
        #expect(try await failure(metadata(), model: wide).contains("[-1, 5, -1, -1]"))
        var half = RemoteModel()
        half.datatype = .f16
        #expect(try await failure(metadata(), model: half).contains("expected 'x' to be FP16"))
        #expect(
            try await failure(metadata(datatype: "FP16"), extensions: []).contains("FP16 travels as bytes only")
        )
    }

    @Test(arguments: [
        ("radius", "9223372036854775807"), ("radius", "-1"), ("size_multiple", "0"), ("size_multiple", "-8"),
    ])
    func numbersOfAServerAreBounded(field: String, value: String) async throws {
        var metadata = metadata(x: [-1, -1, -1, -1], y: [-1, -1, -1, -1])
        metadata.parameters[ModelParameter.radius] = "1"
        metadata.parameters[field == "radius" ? ModelParameter.radius : ModelParameter.sizeMultiple] = value
        #expect(try await failure(metadata).contains("is \(value); expected"))
    }

    @Test func aModelThatIsNotThereIsNamed() async throws {
        try await withServer(MixingModel()) { address in
            let error = await #expect(throws: RemoteDenoisingError.self) {
                _ = try await RemoteDenoiser([address], model: RemoteModel("other"))
            }
            #expect("\(error!)".contains("no such model (404)") && "\(error!)".contains("has 'denoiser'"))
        }
    }

    @Test func serversMustHaveTheSameModel() async throws {
        struct Other: ServedModel {
            let inner = MixingModel()
            let parameters = ["fingerprint": "abc"]
            var inputs: [TensorDescription] { inner.inputs }
            var outputs: [TensorDescription] { inner.outputs }
            func predict(_ inputs: [String: Tensor]) throws -> [String: Tensor] { try inner.predict(inputs) }
        }
        try await withServer(MixingModel()) { first in
            try await withServer(Other()) { second in
                let error = await #expect(throws: RemoteDenoisingError.self) {
                    _ = try await RemoteDenoiser([first, second])
                }
                #expect("\(error!)".contains("have different models") && "\(error!)".contains("abc"))
            }
        }
    }

    @Test(arguments: ["", "localhost:8000", "ftp://a", "http://", "nonsense"])
    func anAddressThatIsNoneIsAnError(address: String) async {
        let error = await #expect(throws: RemoteDenoisingError.self) { _ = try await RemoteDenoiser([address]) }
        #expect("\(error!)".contains("is not the address of a server"))
    }

    @Test func pathsInFrontAreKept() async throws {
        try await withServer(MixingModel()) { address in
            _ = try await RemoteDenoiser(["\(address)/", "\(address)/v2", "\(address)/v2/"])
        }
    }

    @Test func windowsThatDoNotFitAreAnError() async throws {
        var metadata = ModelMetadata.mixing
        metadata.inputs[0].shape = [-1, 3, 256, 256]
        try await withScriptedServer(metadata: metadata, respond: { _, right in try right() }) { address in
            let denoiser = try await RemoteDenoiser([address])
            let error = await #expect(throws: SliceSamplingError.self) {
                _ = try await sampler(denoiser).sample(from: randomSource(), conditioning: nil)
            }
            #expect("\(error!)".contains("'x' has the shape [2, 3, 6, 8], but the server takes"))
        }
    }
}
