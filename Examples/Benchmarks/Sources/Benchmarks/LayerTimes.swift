/// How long layers take, and what the machine could do at most.
struct LayerTimes: Codable {
    /// One layer.
    struct Layer: Codable {
        let layer: LayerCase
        var seconds: Double
        let work: Work
    }

    var layers: [Layer]
    /// A product and little else.
    var product: Layer
    /// Bytes that are read in a second.
    var bandwidth: Double

    /// Operations a second of a product.
    var peak: Double { product.work.operations / product.seconds }

    /// The better of two measurements of the same layers.
    func merged(with other: LayerTimes) -> LayerTimes {
        var result = self
        for (index, layer) in other.layers.enumerated() {
            result.layers[index].seconds = min(layers[index].seconds, layer.seconds)
        }
        result.product.seconds = min(product.seconds, other.product.seconds)
        result.bandwidth = max(bandwidth, other.bandwidth)
        return result
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
        return """
            Products: \(text(peak / 1e9)) GFLOP/s. Memory: \(text(bandwidth / 1e9)) GB/s.

            \(markdown(header, rows))
            """
    }
}
