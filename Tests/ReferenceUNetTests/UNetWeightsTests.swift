import Foundation
import Networks
import ReferenceUNet
import TensorFiles
import TestSupport
import Testing

/// What a file of weights shows, carries and must hold.
struct UNetWeightsTests {
    /// Names and shapes show every configuration, but for the heads and for what has no effect.
    @Test func theConfigurationShows() async {
        await checkLaw(cases: 100) { generator in
            let given = generator.describableConfiguration()
            try given.validate()
            var expected = given
            expected.attentionResolutions = given.channelMultipliers.indices.map { 1 << $0 }
                .filter(given.attentionResolutions.contains)
            if given.channelMultipliers.count == 1 { expected.usesResidualResampling = true }
            try withTemporaryFolder { folder in
                let (weights, json) = (
                    folder.appending(path: "w.safetensors"), folder.appending(path: "c.json")
                )
                try writeHole(given, to: weights)
                try Data("{\"num_head_channels\": \(given.headChannels)}".utf8).write(to: json)
                try #require(
                    try UNetWeights(contentsOf: weights, configuration: json).configuration == expected)
                // And what is given whole is kept as it is.
                try #require(try UNetWeights(contentsOf: weights, configuration: given).configuration == given)
            }
        }
    }

    @Test(arguments: [
        ("in_channels", "10"), ("out_channels", "5"), ("model_channels", "64"), ("num_res_blocks", "2"),
        ("channel_mult", "[1, 2, 2]"), ("attention_resolutions", "[1]"), ("use_scale_shift_norm", "false"),
        ("resblock_updown", "false"), ("use_spatial_transformer", "false"), ("context_dim", "9"),
    ])
    func aConfigurationThatContradictsIsNamed(field: String, value: String) throws {
        let json = "{\"num_head_channels\": 16, \"\(field)\": \(value)}"
        let error = #expect(throws: NetworkConfigurationError.self) { try weights(.small, json: json) }
        #expect(error?.field == field && error?.file?.hasSuffix("c.json") == true)
        #expect(error?.found.hasPrefix(value) == true)
        #expect(error?.expected.contains("as the parameters in") == true)
    }

    @Test(
        arguments: [
            ("{\"num_head_channels\": 24}", "num_head_channels"),
            ("{\"num_head_channels\": 0.5}", "num_head_channels"),
            ("{\"num_head_channels\": 0}", "num_head_channels"), ("[]", nil), ("{", nil),
        ] as [(String, String?)])
    func anInvalidConfigurationIsNamed(json: String, field: String?) throws {
        let error = #expect(throws: NetworkConfigurationError.self) { try weights(.small, json: json) }
        #expect(error?.field == field && error?.file?.hasSuffix("c.json") == true)
    }

    @Test func headsMustBeKnown() throws {
        let error = #expect(throws: UNetError.self) { try weights(.small, json: "{}") }
        guard case .unknownHeadChannels = error else {
            Issue.record("found \(String(describing: error))")
            return
        }
        #expect(error?.description.contains("{\"num_head_channels\": 64}") == true)
    }

    @Test func aFileCarriesItsConfiguration() throws {
        var generator = SeededGenerator(seed: 1)
        let parameters = UNetConfiguration.small.randomParameters(&generator)
        try withTemporaryFolder { folder in
            let (first, second) = (
                folder.appending(path: "1.safetensors"), folder.appending(path: "2.safetensors")
            )
            try Safetensors.write(parameters, to: first)
            let weights = try UNetWeights(contentsOf: first, configuration: .small)
            #expect(weights.selection == .model && weights.names == parameters.keys.sorted())
            try Safetensors.write(weights, metadata: weights.metadata, to: second)
            let network = try UNet(weights: second)
            #expect(network.configuration == .small)

            let inputs = Inputs(.small, batch: 1, rows: 4, columns: 4, &generator)
            let expected = try inputs.evaluate(UNet(parameters: parameters, configuration: .small))
            #expect(try inputs.evaluate(network) == expected)

            var other = UNetConfiguration.small
            other.headChannels = 32
            let error = #expect(throws: NetworkConfigurationError.self) {
                try UNet(weights: second, configuration: other)
            }
            #expect(error?.field == "num_head_channels")
            // Half precision changes numbers by less than one part in 1000.
            try Safetensors.write(weights, metadata: weights.metadata, as: .f16, to: second)
            let halves = try UNetWeights(contentsOf: second)
            #expect(halves.type(of: "out.2.bias") == .f16)
            for name in halves.names {
                #expect(try relativeL2(halves.tensor(name).values, parameters[name]?.values ?? []) < 5e-4)
            }
        }
    }

    @Test func weightsAreChosen() throws {
        let (model, ema) = (Float(1), Float(2))
        try withTemporaryFolder { folder in
            func bias(_ kinds: [(String, Float)], _ selection: UNetWeights.Selection? = nil) throws -> Float {
                let url = folder.appending(path: "checkpoint")
                try checkpoint(kinds).write(to: url)
                let weights = try UNetWeights(contentsOf: url, configuration: .small, selection: selection)
                return try weights.tensor("out.2.bias").values[0]
            }
            let both = [("model", model), ("ema", ema)]
            let found = try [
                bias(both), bias(both, .ema), bias(both, .model), bias([("model", model)]),
                bias([("ema", ema)]),
                bias([("", model)]),
            ]
            #expect(found == [ema, ema, model, model, ema, model])
            for (kinds, wanted) in [([("model", model)], UNetWeights.Selection.ema), ([("ema", ema)], .model)] {
                let error = #expect(throws: ParameterError.self) { try bias(kinds, wanted) }
                guard case .noSelection(_, wanted.rawValue, [kinds[0].0]) = error else {
                    Issue.record("found \(String(describing: error))")
                    continue
                }
            }
            let error = #expect(throws: UNetError.self) { try bias([("net", model)]) }
            #expect(error?.description.contains("net; expected 'model', 'ema', 'state_dict' or") == true)
            for kind in ["state_dict", "model_state_dict"] { #expect(try bias([(kind, model)]) == model) }
        }
    }

    /// The schedule that training stores with the network is skipped; other unexpected arrays are listed.
    @Test func schedulesAreSkippedAndOthersAreListed() throws {
        var generator = SeededGenerator(seed: 2)
        var parameters = UNetConfiguration.small.randomParameters(&generator)
        for name in ["m_t", "variance_t", "betas"] { parameters[name] = Tensor(shape: [1000]) }
        _ = try UNet(parameters: parameters, configuration: .small)
        parameters["table"] = Tensor(shape: [10, 10])
        parameters["ema.decay"] = Tensor(shape: [1])
        let error = #expect(throws: ParameterError.self) {
            try UNet(parameters: parameters, configuration: .small)
        }
        guard case .mismatch(_, _, [], let extra, []) = error else {
            Issue.record("found \(String(describing: error))")
            return
        }
        #expect(extra == ["ema.decay", "table"])
    }

    /// Parameters as whole numbers are refused, and so are parameters that share one storage.
    @Test func parametersHaveNumbersOfTheirOwn() throws {
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "checkpoint.pth")
            func problem(_ bytes: Data) throws -> ParameterError? {
                try bytes.write(to: url)
                return #expect(throws: ParameterError.self) {
                    try UNetWeights(contentsOf: url, configuration: .small)
                }
            }
            guard case .type(_, _, "I32") = try problem(checkpoint([("ema", 1)], type: "IntStorage"))
            else {
                Issue.record("whole numbers passed")
                return
            }
            guard case .sharedNumbers = try problem(checkpoint([("ema", 1)], isShared: true)) else {
                Issue.record("shared numbers passed")
                return
            }
        }
    }

    @Test func filesThatAreNotANetworkAreRejected() throws {
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "w.safetensors")
            for (tensors, message) in [
                ([:], "there is no parameter time_embed.0.weight"),
                (["time_embed.0.weight": Tensor(shape: [4, 0])], "there is no parameter time_embed.0.weight"),
                (["denoise_fn.out.2.bias": Tensor(shape: [4])], "no parameter denoise_fn.time_embed.0.weight"),
            ] as [([String: Tensor], String)] {
                try Safetensors.write(tensors, to: url)
                let error = #expect(throws: ParameterError.self) { try UNet(weights: url) }
                #expect(error?.description.contains(message) == true)
            }
        }
    }

    @Test func tooManyTensorsAreRejected() {
        let tensors = (0..<70_000).map { ("layer.\($0)", Tensor(shape: [0])) }
        let error = #expect(throws: UNetError.self) {
            try UNet(parameters: Dictionary(uniqueKeysWithValues: tensors), configuration: .small)
        }
        #expect(error?.description.contains("there are 70000 tensors") == true)
    }

    private func weights(_ configuration: UNetConfiguration, json: String) throws -> UNetWeights {
        try withTemporaryFolder { folder in
            let (weights, file) = (folder.appending(path: "w.safetensors"), folder.appending(path: "c.json"))
            try writeHole(configuration, to: weights)
            try Data(json.utf8).write(to: file)
            return try UNetWeights(contentsOf: weights, configuration: file)
        }
    }
}

/// A checkpoint of small networks with every number at a value, under their names in the checkpoint; without a
/// name, as the whole.
private func checkpoint(
    _ kinds: [(name: String, value: Float)], type: String = "FloatStorage", isShared: Bool = false
) -> Data {
    var bytes = CheckpointBytes()
    let parameters = UNetArchitecture(.small).parameters
    let fields = kinds.map { kind in
        let values = parameters.map { parameter -> (String, CheckpointValue) in
            let count = parameter.shape.reduce(1, *)
            if !isShared || bytes.storages.isEmpty {
                let largest = isShared ? parameters.map { $0.shape.reduce(1, *) }.max() ?? 0 : count
                _ = bytes.tensor([largest], [Float](repeating: kind.value, count: largest))
                bytes.storages[bytes.storages.count - 1].type = type
            }
            let tensor = CheckpointTensor(storage: bytes.storages.count - 1, shape: parameter.shape)
            return ("denoise_fn." + parameter.name, .parameter(tensor))
        }
        return (kind.name, CheckpointValue.stateDictionary(values))
    }
    bytes.root = fields.first?.0 == "" ? fields[0].1 : .dictionary(fields)
    return bytes.archive().data()
}

/// A file with a network's parameters all zero: a sparse file.
private func writeHole(_ configuration: UNetConfiguration, to url: URL) throws {
    var end = 0
    let fields = UNetArchitecture(configuration).parameters.map { parameter in
        let start = end
        end += 4 * parameter.shape.reduce(1, *)
        return
            "\"\(parameter.name)\":{\"dtype\":\"F32\",\"shape\":\(parameter.shape),\"data_offsets\":[\(start),\(end)]}"
    }
    let header = "{\(fields.joined(separator: ","))}"
    try Data(littleEndian(UInt64(header.utf8.count)) + header.utf8).write(to: url)
    try #require(truncate(url.path, off_t(8 + header.utf8.count + end)) == 0)
}

extension SeededGenerator {
    /// A valid configuration of a network of any size; its weights are never made.
    fileprivate mutating func describableConfiguration() -> UNetConfiguration {
        var configuration = UNetConfiguration()
        configuration.outputChannels = 2 * size(in: 0...3) + 1
        configuration.inputChannels = 2 * configuration.outputChannels
        configuration.modelChannels = 32 * size(in: 1...3)
        configuration.residualBlocks = size(in: 1...3)
        configuration.channelMultipliers = (0..<size(in: 1...5)).map { _ in size(in: 1...4) }
        configuration.attentionResolutions = [1, 2, 4, 8, 16, 32].filter { _ in Bool.random(using: &self) }
            .shuffled(using: &self)
        configuration.headChannels = [1, 2, 4, 8, 16, 32].randomElement(using: &self)!
        configuration.usesScaleShiftNorm = Bool.random(using: &self)
        configuration.usesResidualResampling = Bool.random(using: &self)
        configuration.usesSpatialTransformer = Bool.random(using: &self)
        configuration.contextWidth = configuration.usesSpatialTransformer ? size(in: 1...200) : nil
        return configuration
    }
}
