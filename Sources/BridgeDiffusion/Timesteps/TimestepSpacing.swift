import Foundation

/// The spacing of the visited timesteps between T-1 and 0.
///
/// Timesteps are whole numbers. Where rounding meets one twice it is visited once, so that for counts near T a
/// list may be shorter than asked for.
public enum TimestepSpacing: Hashable, Sendable {
    /// The spacing of the Brownian bridge's public implementation: T-1, then every (T-1)/(S-2) while above 1, then
    /// 1 and 0. At least 3 steps.
    case linear

    /// Evenly from T-1 to 0. At least 2 steps.
    case uniform

    /// As half a turn of a cosine: dense at both ends. At least 2 steps.
    case cosine

    /// Evenly in the root of order `rho` of t + 1, denser towards 0 the larger rho is. At least 2 steps.
    /// (After arXiv 2206.00364, eq. 5, which spaces noise levels so, with rho = 7.)
    case karras(rho: Double = 3)

    /// The timesteps visited, descending, the first T-1 and the last 0.
    ///
    /// - Parameters:
    ///   - count: S, how many.
    ///   - trainingTimesteps: T, how many the process has.
    /// - Precondition: `count` is not below the spacing's least nor above T.
    public func timesteps(_ count: Int, of trainingTimesteps: Int) -> [Int] {
        let least = self == .linear ? 3 : 2
        precondition(
            count >= least && count <= trainingTimesteps,
            "the number of steps must be from \(least) to \(trainingTimesteps), but is \(count)")
        if self == .linear { return linearTimesteps(count, of: trainingTimesteps) }
        let last = Double(trainingTimesteps - 1)
        let all = (0..<count).map { index -> Int in
            let share = Double(index) / Double(count - 1)
            return switch self {
            case .linear, .uniform: Int((last * (1 - share)).rounded())
            case .cosine: Int((last * (1 + cos(.pi * share)) / 2).rounded())
            case .karras(let rho): Int((pow((1 - share) * (pow(last + 1, 1 / rho) - 1) + 1, rho) - 1).rounded())
            }
        }
        return all.enumerated().filter { $0.offset == 0 || $0.element < all[$0.offset - 1] }.map(\.element)
    }

    private func linearTimesteps(_ count: Int, of trainingTimesteps: Int) -> [Int] {
        let last = Double(trainingTimesteps - 1)
        let stride = last / Double(count - 2)
        var timesteps: [Int] = []
        // The number of terms of last, last - stride, ... that are above 1.
        for index in 0..<Int(((last - 1) / stride).rounded(.up)) {
            // Rounded to single precision before it is cut off, as published.
            let t = Int(Float(last - Double(index) * stride))
            if t > 1 { timesteps.append(t) }
        }
        return timesteps + [1, 0]
    }
}

/// `count` numbers from `first` through `last`.
func evenlySpaced(_ count: Int, from first: Double, through last: Double) -> [Double] {
    let step = (last - first) / Double(count - 1)
    return (0..<count - 1).map { first + Double($0) * step } + [last]
}
