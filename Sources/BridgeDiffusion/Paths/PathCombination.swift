/// A weighted sum of the images of a Gaussian path: x_t, x_0, y and eps.
///
/// ```swift
/// let noisy = bridge.forwardSample(at: 500)(target: x0, source: y, noise: eps)
/// ```
public struct PathCombination: Hashable, Sendable {
    /// Weight of the noisy image x_t.
    public var noisy: Double

    /// Weight of the target x_0, of its estimate, or of the network's output from which it is found.
    public var target: Double

    /// Weight of the source y.
    public var source: Double

    /// Weight of the noise eps.
    public var noise: Double

    /// A combination; weights that are not named are zero.
    public init(noisy: Double = 0, target: Double = 0, source: Double = 0, noise: Double = 0) {
        (self.noisy, self.target, self.source, self.noise) = (noisy, target, source, noise)
    }

    /// The combination of images, value by value. O(n).
    ///
    /// - Precondition: an image may be left out where its weight is zero, and only there; those given are
    ///   equally long.
    public func callAsFunction(
        noisy: [Float]? = nil, target: [Float]? = nil, source: [Float]? = nil, noise: [Float]? = nil
    ) -> [Float] {
        let terms = [
            (self.noisy, noisy, "noisy"), (self.target, target, "target"), (self.source, source, "source"),
            (self.noise, noise, "noise"),
        ].filter { $0.0 != 0 }
        for (weight, image, name) in terms {
            precondition(image != nil, "the \(name) image has a weight of \(weight) and is missing")
        }
        guard let count = terms.compactMap({ $0.1?.count }).first else {
            return [Float](repeating: 0, count: (noisy ?? target ?? source ?? noise ?? []).count)
        }
        precondition(terms.allSatisfy { $0.1!.count == count }, "the images differ in length")
        var sum = [Float](repeating: 0, count: count)
        for (weight, image, _) in terms {
            let weight = Float(weight)
            for (index, value) in image!.enumerated() { sum[index] += weight * value }
        }
        return sum
    }
}
