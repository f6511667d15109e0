import Networks

/// The parts of the published 3-D latent translator.
enum LatentNetwork: String, CaseIterable, Network {
    case encoder, translator, decoder, denoiser

    var parameters: [Parameter] { network.parameters }

    /// A part, for a volume of four times the size of its latent.
    func graph(batch: Int, size: [Int]) -> Graph { network.graph(batch: batch, size: size) }

    /// The size of the part's image for that of a volume.
    func size(ofVolume shape: [Int]) -> [Int] { self == .encoder ? shape : shape.map { $0 / 4 } }

    private var network: any Network {
        switch self {
        case .encoder: LatentEncoder(.published)
        case .translator: SpadeTranslator(.published, target: 1)
        case .decoder: LatentDecoder(.published)
        case .denoiser: LatentUNet3D(.published)
        }
    }
}
