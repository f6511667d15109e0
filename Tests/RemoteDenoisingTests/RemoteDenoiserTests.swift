import DenoisingServer
import Foundation
import InferenceProtocol
import RemoteDenoising
import TestSupport
import Testing

/// A network on a server gives what it gives in this process.
struct RemoteDenoiserTests {
    /// A U-Net in this process and on servers: the same bits at any batch, in any number of batches in flight, on any number
    /// of servers.
    @Test func theBitsAreThoseOfALocalRun() async throws {
        var generator = SeededGenerator(seed: 3)
        var configuration = UNetConfiguration()
        configuration.modelChannels = 32
        configuration.channelMultipliers = [1, 2]
        configuration.residualBlocks = 1
        configuration.headChannels = 16
        configuration.contextWidth = 8
        var parameters: [String: Tensor] = [:]
        for parameter in UNetArchitecture(configuration).parameters {
            let values = generator.floats(parameter.shape.reduce(1, *), in: -0.1...0.1)
            parameters[parameter.name] = Tensor(shape: parameter.shape, values: values)
        }
        let network = try UNet(parameters: parameters, configuration: configuration)
        let source = randomSource([16, 8, 20])
        let style = try StyleKey(
            histogram: generator.floats(8, in: 0...1), cumulative: generator.floats(8, in: 0...1),
            difference: generator.floats(8, in: 0...1))
        let local = try await sampler(UNetDenoiser(network)).sample(from: source, conditioning: style)

        let model = UNetModel(network)
        try await withServer(model) { first in
            try await withServer(model) { second in
                try await withServer(model) { third in
                    for servers in [[first], [first, second, third]] {
                        let denoiser = try await RemoteDenoiser(servers)
                        #expect(denoiser.radius == 1 && denoiser.sizeMultiple == 2)
                        #expect(denoiser.takesStyle && denoiser.styleBins == 8 && denoiser.dependsOnNoisy)
                        #expect(denoiser.runSettings == UNetDenoiser(network).runSettings)
                        for (batch, inFlight) in [1, 4, 16].flatMap({ batch in [1, 2, 5].map { (batch, $0) } })
                        {
                            let remote = try await sampler(denoiser, batch: batch, inFlight: inFlight)
                                .sample(from: source, conditioning: style)
                            #expect(remote == local, "batch \(batch), \(inFlight) in flight, \(servers)")
                        }
                        #expect(denoiser.traffic.retries == 0)
                        #expect(denoiser.traffic.windows == 9 * 20 * 5)
                    }
                }
            }
        }
    }

    @Test func jsonGivesTheSameBits() async throws {
        let expected = try await expectedVolume()
        try await withServer(MixingModel()) { address in
            for encoding in [RemoteOptions.Encoding.json, .binary, .automatic] {
                var options = impatient
                options.encoding = encoding
                let denoiser = try await RemoteDenoiser([address], options: options)
                let volume = try await sampler(denoiser).sample(from: randomSource(), conditioning: nil)
                #expect(volume == expected, "\(encoding)")
                let bytes = denoiser.traffic.bytesSent / denoiser.traffic.windows
                // Two images and a number a window: 4 bytes each, or some 12 characters.
                let count = 2 * 3 * 8 * 6
                #expect(encoding == .json ? bytes > 8 * count : bytes < 6 * count, "\(encoding): \(bytes)")
            }
        }
    }

    /// Half precision halves the bytes and rounds.
    @Test(arguments: [(TensorType.f16, 2e-3), (.bf16, 2e-2)])
    func halfPrecisionRounds(type: TensorType, error: Double) async throws {
        let expected = try await expectedVolume()
        try await withServer(MixingModel()) { address in
            var model = RemoteModel()
            model.datatype = type
            let denoiser = try await RemoteDenoiser([address], model: model)
            let volume = try await sampler(denoiser).sample(from: randomSource(), conditioning: nil)
            let found = relativeL2(volume.voxels, expected.voxels)
            #expect(found < error && found > 0, "\(found)")
            #expect(denoiser.traffic.bytesSent / denoiser.traffic.windows < 3 * 2 * 3 * 8 * 6)
            #expect(denoiser.runSettings.contains { $0.value == type.inferenceName })
        }
    }

    /// Both images as channels of one tensor, whichever comes first; and as volumes, with an axis more.
    @Test(arguments: [false, true], [false, true])
    func joinedImagesArriveApart(sourceFirst: Bool, isVolume: Bool) async throws {
        struct Joined: ServedModel {
            let sourceFirst, isVolume: Bool
            var inputs: [TensorDescription] {
                let shape = isVolume ? [-1, 2, 3, -1, -1] : [-1, 6, -1, -1]
                return [
                    TensorDescription(name: "images", shape: shape),
                    TensorDescription(name: "t", shape: [-1, 1]),
                ]
            }
            var outputs: [TensorDescription] {
                [TensorDescription(name: "out", shape: isVolume ? [-1, 1, 3, -1, -1] : [-1, 3, -1, -1])]
            }
            func predict(_ inputs: [String: Tensor]) throws -> [String: Tensor] {
                let images = inputs["images"]!
                let halves = [images.values.prefix(images.count / 2), images.values.suffix(images.count / 2)]
                let (x, y) = sourceFirst ? (halves[1], halves[0]) : (halves[0], halves[1])
                let shape = isVolume ? [1, 1] + images.shape[2...] : [1, 3] + images.shape[2...]
                return [
                    "out": Tensor(shape: shape, values: mix(Array(x), Array(y), at: inputs["t"]!.values[0]))
                ]
            }
        }
        let expected = try await expectedVolume()
        try await withServer(Joined(sourceFirst: sourceFirst, isVolume: isVolume)) { address in
            var model = RemoteModel()
            (model.joined, model.joinsSourceFirst) = ("images", sourceFirst)
            let denoiser = try await RemoteDenoiser([address], model: model)
            #expect(denoiser.radius == 1)
            let volume = try await sampler(denoiser).sample(from: randomSource(), conditioning: nil)
            #expect(volume == expected)
        }
    }

    /// A generator that maps source to target at once: one step of the whole path, back to the source's grid.
    @Test func aOneStepTranslatorTranslates() async throws {
        /// Smooths across the slices of a window, and inverts.
        struct Generator: ServedModel {
            let inputs = [TensorDescription(name: "input", shape: [-1, 3, -1, -1])]
            let outputs = [TensorDescription(name: "output", shape: [-1, 3, -1, -1])]

            static func map(_ window: [Float]) -> [Float] {
                let slice = window.count / 3
                return window.indices.map { index in
                    let column = stride(from: index % slice, to: window.count, by: slice).map { window[$0] }
                    return -(0.5 * window[index] + 0.5 * (column[0] + column[1] + column[2]) / 3)
                }
            }
            func predict(_ inputs: [String: Tensor]) throws -> [String: Tensor] {
                let input = inputs["input"]!
                return ["output": Tensor(shape: input.shape, values: Self.map(input.values))]
            }
        }
        struct LocalGenerator: StyledDenoiser {
            let radius = 1
            let predictionType = PredictionType.sample
            let sizeMultiple = 1
            let dependsOnNoisy = false
            func conditioning(for source: Volume, style: StyleKey) {}
            func predict(_ windows: SliceWindows, at t: Int, conditioning: Void) async throws -> [Float] {
                (0..<windows.count).flatMap { Generator.map(Array(windows.source($0))) }
            }
        }
        let affine = Affine(columns: [0, 0, 3], [-3.5, 0.4, 0], [0.3, 3, 0], translation: [40, -20, 11])
        let source = Volume.brainPhantom(on: VoxelGrid(shape: [14, 16, 18], affine: affine))
        let style = try StyleKey(histogram: [0, 0], cumulative: [0, 0], difference: [0, 0])
        let local = try await VolumeTranslator(LocalGenerator(), corrector: nil).translate(source, style: style)
        try await withServer(Generator()) { address in
            let denoiser = try await RemoteDenoiser(
                [address], model: .generator("denoiser", source: "input", output: "output"))
            #expect(!denoiser.dependsOnNoisy && denoiser.predictionType == .sample && !denoiser.takesStyle)
            let translator = try VolumeTranslator(denoiser, corrector: nil)
            #expect(translator.sampler.scheduler.timesteps == [0])
            let remote = try await translator.translate(source, style: style)
            #expect(remote == local)
            #expect(remote.grid == source.grid)
            #expect(remote.voxels.contains { $0 > 0.2 })
        }
    }

    @Test func aModelIsReadFromItsFile() throws {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "model.json")
            func read(_ json: String) throws -> RemoteModel {
                try Data(json.utf8).write(to: file)
                return try RemoteModel(contentsOf: file)
            }
            let plain = try read("{}")
            #expect(plain == RemoteModel())
            var expected = RemoteModel.generator("pix2pix", source: "input", output: "output")
            expected.datatype = .f16
            #expect(
                try read(
                    #"{"name": "pix2pix", "source": "input", "output": "output", "datatype": "FP16", "#
                        + #""prediction_type": "sample"}"#) == expected)
            for (json, reason) in [
                (#"{"sorce": "input"}"#, "sorce: found an unknown field"),
                (#"{"radius": -1}"#, "radius: found -1"),
                (#"{"datatype": "INT8"}"#, "datatype: found INT8; expected FP32, FP16 or BF16"),
                (#"{"datatype": "F16"}"#, "datatype: found \"F16\""),
                (#"{"prediction_type": "x"}"#, "prediction_type: found \"x\""), ("{", "JSON"),
            ] {
                let error = #expect(throws: RemoteDenoisingError.self) { try read(json) }
                #expect("\(error!)".contains(reason) && "\(error!)".contains(file.path), "\(error!)")
            }
        }
    }
}
