import ReferenceUNet

/// The times of layers, and the limits of the machine.
struct LayerTimes: Codable {
    /// One layer.
    struct Layer: Codable {
        let layer: LayerCase
        /// The work of one layer.
        let work: Work
        /// The seconds of the shortest runs of chains of three layers and of one.
        let three, one: Double

        var seconds: Double { (three - one) / 2 }

        /// The shorter runs of two measurements.
        func merged(with other: Layer) -> Layer {
            Layer(layer: layer, work: work, three: min(three, other.three), one: min(one, other.one))
        }
    }

    let layers: [Layer]
    /// The reference, hardly more than a matrix product.
    let product: Layer
    /// Bytes read per second.
    let bandwidth: Double

    /// Operations per second of the reference.
    var peak: Double { product.work.operations / product.seconds }

    /// The shorter times of two measurements of the same layers.
    func merged(with other: LayerTimes) -> LayerTimes {
        LayerTimes(
            layers: zip(layers, other.layers).map { $0.merged(with: $1) },
            product: product.merged(with: other.product), bandwidth: max(bandwidth, other.bandwidth))
    }

    /// The layers as a table, with the peer's seconds by specification if known.
    func table(peer: [String: Double]) -> String {
        let rows = layers.map { layer in
            let (products, memory) = (layer.work.products / peak, layer.work.bytes / bandwidth)
            let other = peer[layer.layer.specification]
            return [
                layer.layer.title, text(layer.seconds * 1e3), other.map { text($0 * 1e3) } ?? "",
                other.map { text($0 / layer.seconds) } ?? "", text(layer.work.operations / layer.seconds / 1e9),
                text(products * 1e3), text(memory * 1e3),
                text(100 * max(products, memory) / layer.seconds) + " %",
            ]
        }
        let header = [
            "layer", "ms", "PyTorch", "ratio", "GFLOP/s", "products, ms", "memory, ms", "of the floor",
        ]
        return """
            Products: \(text(peak / 1e9)) GFLOP/s. Memory: \(text(bandwidth / 1e9)) GB/s. \(networks)

            \(markdown(header, rows))
            """
    }

    /// The least time of the networks that the layers are from.
    private var networks: String {
        let isVolume = layers.contains { $0.layer.size.count == 3 }
        let works: [(String, Work)] =
            isVolume
            ? LatentNetwork.allCases.map {
                ("The \($0.rawValue)", OperationCount.work(of: $0, size: $0.size(ofVolume: [144, 192, 144])))
            } : [("The published network", OperationCount.work(of: UNetArchitecture(.ct2mri), size: 160))]
        return works.map { name, work in
            """
            \(name) takes \(text(work.operations / 1e9)) GFLOP for \
            \(isVolume ? "a volume of 144 x 192 x 144" : "a window of 160 x 160"), \
            \(text(work.products / 1e9)) of them left by Winograd's form: at least \(text(work.products / peak)) s.
            """
        }.joined(separator: " ")
    }
}
