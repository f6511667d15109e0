/// A weighted sum over neighbours along one axis, kept up to date while the position moves forward.
enum AxisFilter {
    /// The neighbours' sum: what enters is added and what leaves is taken away, whatever the width.
    case runningSum(width: Int)
    /// Each neighbour times its weight, summed afresh at each position.
    case weighted([Double])

    /// The value itself.
    static let identity = weighted([1])

    /// Number of neighbours.
    var width: Int {
        switch self {
        case .runningSum(let width): width
        case .weighted(let weights): weights.count
        }
    }

    /// What the weights sum to.
    var totalWeight: Double {
        switch self {
        case .runningSum(let width): Double(width)
        case .weighted(let weights): weights.reduce(0, +)
        }
    }

    /// Takes the sum from position - 1 to `position`: the sum over inputs `position ..< position + width`.
    ///
    /// - Parameters:
    ///   - restart: sets the sum to zero.
    ///   - add: adds an input, times a weight, to the sum.
    @inline(__always)
    func advance(to position: Int, restart: () -> Void, add: (_ input: Int, _ weight: Double) -> Void) {
        switch self {
        case .runningSum(let width) where position > 0:
            add(position + width - 1, 1)
            add(position - 1, -1)
        case .runningSum(let width):
            restart()
            for input in 0..<width { add(input, 1) }
        case .weighted(let weights):
            restart()
            for (offset, weight) in weights.enumerated() { add(position + offset, weight) }
        }
    }
}
