import Networks
import Testing

struct LatentNetworkTests {
    private func count(_ parameters: [Parameter]) -> Int {
        var seen: Set<String> = []
        return parameters.filter { seen.insert($0.name).inserted }.reduce(0) { $0 + $1.shape.reduce(1, *) }
    }

    private func translator(_ configuration: AutoencoderConfiguration) -> Int {
        count((0..<configuration.classes).flatMap { SpadeTranslator(configuration, target: $0).parameters })
    }

    @Test func publishedNetworksHaveTheirSizes() throws {
        let (code, paper) = (AutoencoderConfiguration.published, AutoencoderConfiguration.paper)
        try code.validate()
        try paper.validate()
        #expect(abs(count(LatentEncoder(code).parameters) - 2_240_000) < 10_000)
        #expect(abs(count(LatentDecoder(code).parameters) - 4_230_000) < 10_000)
        #expect(abs(translator(code) - 18_900_000) < 100_000)
        #expect(
            count(
                LatentEncoder(paper).parameters + LatentDecoder(paper).parameters + Codebook(paper).parameters)
                == 237_548_316)
        for (configuration, millions) in [(LatentUNetConfiguration.published, 33.2), (.paper, 136)] {
            try configuration.validate()
            let parameters = count(LatentUNet3D(configuration).parameters)
            #expect(abs(Double(parameters) / 1e6 - millions) < (millions > 100 ? 1 : 0.1), "\(parameters)")
        }
        #expect(abs(count(PatchDiscriminator().parameters) - 2_800_000) < 50_000)
        #expect(code.factor == 4 && LatentUNetConfiguration.published.sizeMultiple == 4)
        #expect(LatentUNetConfiguration.published.takesSource && !LatentUNetConfiguration.paper.takesSource)
    }

    /// The sizes of the tables in the specification of the public code.
    @Test func shapesAreThoseOfTheTables() {
        let code = AutoencoderConfiguration.published
        func shape(_ network: some Network, _ size: [Int]) -> [Int] {
            let graph = network.graph(batch: 1, size: size)
            #expect(Set(graph.nodes.flatMap(\.operation.parameters)) == Set(network.parameters))
            return graph.nodes[graph.nodes.count - 1].shape
        }
        #expect(shape(LatentEncoder(code), [144, 192, 144]) == [1, 4, 36, 48, 36])
        #expect(shape(LatentDecoder(code), [36, 48, 36]) == [1, 1, 144, 192, 144])
        #expect(shape(SpadeTranslator(code, target: 3), [36, 48, 36]) == [1, 4, 36, 48, 36])
        #expect(shape(SpadeTranslator(.paper, target: 0), [8, 8, 4]) == [1, 3, 8, 8, 4])
        #expect(shape(LatentUNet3D(.published), [36, 48, 36]) == [1, 4, 36, 48, 36])
        #expect(shape(LatentUNet3D(.paper), [8, 4, 4]) == [1, 3, 8, 4, 4])
        #expect(shape(PatchDiscriminator(outputs: 5), [144, 192, 144]) == [1, 5, 16, 22, 16])
    }

    /// A discriminator of slices has a patch for each 70 x 70 voxels; of what is too small it has none.
    @Test func patchesAreCountedBeforeTheyAreMade() {
        for layers in 1...3 {
            let network = PatchDiscriminator(axes: 2, inputs: 6, width: 16, layers: layers)
            for rows in 1...40 {
                guard let patches = network.patches(of: [rows, rows + 3]) else {
                    #expect(rows < 4 << layers)
                    continue
                }
                let graph = network.graph(batch: 1, size: [rows, rows + 3])
                #expect(graph.nodes[graph.nodes.count - 1].shape == [1, 1] + patches)
            }
        }
        #expect(PatchDiscriminator(axes: 2, inputs: 6).patches(of: [256, 256]) == [30, 30])
    }

    @Test func invalidFieldsAreNamed() {
        func field(_ change: (inout AutoencoderConfiguration) -> Void) -> String? {
            var configuration = AutoencoderConfiguration()
            change(&configuration)
            do { try configuration.validate() } catch { return error.field }
            return nil
        }
        #expect(field { $0.channels = 60 } == "ch")
        #expect(field { $0.groups = 0 } == "num_groups")
        #expect(field { $0.channelMultipliers = [] } == "ch_mult")
        #expect(field { $0.channelMultipliers = [1, 1 << 40] } == "ch_mult")
        #expect(field { $0.middleBlocks = 3 } == "mid_blocks")
        #expect(field { $0.codeWidth = 3 } == "embed_dim")
        #expect(field { $0.codes = 0 } == "n_embed")
        #expect(field { $0.classes = -1 } == "num_classes")
        #expect(field { $0.commitment = .nan } == "beta")
        #expect(field { $0.translatorHidden = 1 << 30 } == "translator_hidden")
        func denoiser(_ change: (inout LatentUNetConfiguration) -> Void) -> String? {
            var configuration = LatentUNetConfiguration()
            change(&configuration)
            do { try configuration.validate() } catch { return error.field }
            return nil
        }
        #expect(denoiser { $0.inputChannels = 11 } == "in_channels")
        #expect(denoiser { $0.outputChannels = 1 << 62 } == "out_channels")
        #expect(denoiser { $0.modelChannels = 100 } == "model_channels")
        #expect(denoiser { $0.headChannels = 48 } == "num_head_channels")
        #expect(denoiser { $0.attentionResolutions = [0] } == "attention_resolutions")
        #expect(denoiser { $0.inputChannels = 8 } == nil)
    }
}
