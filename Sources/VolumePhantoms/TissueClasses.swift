/// Where fluid, grey and white matter lie on the scale of a T1 image: the means of three classes of its foreground.
struct TissueClasses {
    let fluid: Float
    let grey: Float
    let white: Float

    /// The classes of intensities, by Lloyd's k-means on their histogram.
    ///
    /// - Returns: `nil` where fewer than three levels occur.
    init?(of intensities: [Float]) {
        let sorted = intensities.sorted()
        // A few vessels and artefacts must not stretch the scale.
        guard let low = sorted.first, let high = sorted.isEmpty ? nil : sorted[(sorted.count - 1) * 998 / 1000],
            high > low
        else { return nil }
        let bins = 256
        var counts = [Double](repeating: 0, count: bins)
        for value in sorted {
            counts[min(Int((value - low) / (high - low) * Float(bins)), bins - 1)] += 1
        }
        func quantile(_ share: Double) -> Double {
            Double((sorted[Int(Double(sorted.count - 1) * share)] - low) / (high - low)) * Double(bins)
        }
        var means = [quantile(0.1), quantile(0.45), quantile(0.85)]
        for _ in 0..<100 {
            var (sums, weights) = ([0.0, 0, 0], [0.0, 0, 0])
            for (bin, count) in counts.enumerated() {
                let level = Double(bin) + 0.5
                let nearest = (0..<3).min { abs(means[$0] - level) < abs(means[$1] - level) }!
                sums[nearest] += count * level
                weights[nearest] += count
            }
            guard weights.allSatisfy({ $0 > 0 }) else { return nil }
            let moved = zip(sums, weights).map { $0 / $1 }
            if moved == means { break }
            means = moved
        }
        let levels = means.map { low + Float($0 / Double(bins)) * (high - low) }
        (fluid, grey, white) = (levels[0], levels[1], levels[2])
    }

    /// Shares of grey and of white matter at an intensity; the rest is fluid.
    ///
    /// Near a class's mean all is that class; between two means both have a share, as in voxels on a border.
    @inline(__always)
    func shares(of intensity: Float) -> (grey: Float, white: Float) {
        func share(from low: Float, to high: Float) -> Float {
            min(max(((intensity - low) / (high - low) - 0.2) / 0.6, 0), 1)
        }
        let (tissue, white) = (share(from: fluid, to: grey), share(from: grey, to: white))
        return (tissue - white, white)
    }
}
