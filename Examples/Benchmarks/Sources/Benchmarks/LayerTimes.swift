import ReferenceUNet

/// How long layers take, and what the machine could do at most.
struct LayerTimes: Codable {
    /// One layer.
    struct Layer: Codable {
        let layer: LayerCase
        /// Of one.
        let work: Work
        /// Seconds of the shortest runs of chains of three and of one.
        let three, one: Double

        var seconds: Double { (three - one) / 2 }

        /// With the shorter of two measurements' runs.
        func merged(with other: Layer) -> Layer {
            Layer(layer: layer, work: work, three: min(three, other.three), one: min(one, other.one))
        }
    }

    let layers: [Layer]
    /// A product and little else.
    let product: Layer
    /// Bytes that are read in a second.
    let bandwidth: Double

    /// Operations a second of a product.
    var peak: Double { product.work.operations / product.seconds }

    /// The better of two measurements of the same layers.
    func merged(with other: LayerTimes) -> LayerTimes {
        LayerTimes(
            layers: zip(layers, other.layers).map { $0.merged(with: $1) },
            product: product.merged(with: other.product), bandwidth: max(bandwidth, other.bandwidth))
    }

    /// The layers as a table, with the peer's seconds by specification where they are known.
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
        let network = OperationCount.work(of: UNetArchitecture(.ct2mri), size: 160)
        return """
            Products: \(text(peak / 1e9)) GFLOP/s. Memory: \(text(bandwidth / 1e9)) GB/s. The published network takes \
            \(text(network.operations / 1e9)) GFLOP for a window of 160 x 160, \(text(network.products / 1e9)) \
            of them left by Winograd's form: at least \(text(network.products / peak)) s.

            \(markdown(header, rows))
            """
    }
}
