import Foundation
import VoxelBridge

/// An Ornstein-Uhlenbeck process from the target x_0 with the mean y, conditioned to end at the source y (GOUB, arXiv
/// 2312.10299). With the time u from 0 to 1:
///
///     dx = theta (y - x) du + sigma dw
///     x_u = a x_0 + (1 - a) y + s eps
///     a = sinh(theta (1 - u)) / sinh(theta)
///     s² = sigma² / theta · sinh(theta u) sinh(theta (1 - u)) / sinh(theta)
///
/// In the limit theta -> 0 it is a Brownian bridge. A larger theta moves x_u from x_0 to y earlier, and keeps the noise
/// near its maximum for longer.
struct OrnsteinUhlenbeckBridge: StorablePath, Equatable {
    /// The name in files.
    static let kind = "ornstein_uhlenbeck_bridge"

    /// T.
    let trainingTimesteps: Int

    /// theta, the rate of reversion to y, above zero.
    let attraction: Double

    /// sigma, the deviation of the noise added per unit of time, above zero.
    let volatility: Double

    init(trainingTimesteps: Int = 1000, attraction: Double = 2, volatility: Double = 1) {
        precondition(trainingTimesteps > 1 && attraction > 0 && volatility > 0, "parameters out of range")
        self.trainingTimesteps = trainingTimesteps
        (self.attraction, self.volatility) = (attraction, volatility)
    }

    var start: SamplingStart { .source }

    func coefficients(at t: Int) -> PathCoefficients {
        let (theta, u) = (attraction, time(t))
        let target = sinh(theta * (1 - u)) / sinh(theta)
        return PathCoefficients(
            target: target, source: 1 - target,
            variance: volatility * volatility / theta * sinh(theta * u) * target)
    }

    /// In u: a' = -theta cosh(theta (1 - u)) / sinh(theta), and s' = (s²)' / (2 s) with
    /// (s²)' = sigma² sinh(theta (1 - 2 u)) / sinh(theta).
    func velocity(at t: Int) -> PathCombination {
        let (theta, u) = (attraction, time(t))
        let target = -theta * cosh(theta * (1 - u)) / sinh(theta)
        let varianceSlope = volatility * volatility * sinh(theta * (1 - 2 * u)) / sinh(theta)
        return PathCombination(
            target: target, source: -target,
            noise: varianceSlope / (2 * coefficients(at: t).variance.squareRoot()))
    }

    /// u, which excludes the ends 0 and 1, where there is no noise.
    func time(_ t: Int) -> Double { Double(t + 1) / Double(trainingTimesteps + 1) }
}

extension OrnsteinUhlenbeckBridge {
    private enum CodingKeys: String, CodingKey {
        case trainingTimesteps = "timesteps"
        case attraction, volatility
    }

    /// Decodes a bridge, and throws an error for invalid values in a file.
    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        func number<Value: Decodable & Comparable>(
            _ key: CodingKeys, in range: ClosedRange<Value>
        ) throws -> Value {
            let value = try fields.decode(Value.self, forKey: key)
            guard range.contains(value) else {
                throw DecodingError.dataCorruptedError(
                    forKey: key, in: fields, debugDescription: "\(value), outside \(range)")
            }
            return value
        }
        self.init(
            trainingTimesteps: try number(.trainingTimesteps, in: 2...10_000),
            attraction: try number(.attraction, in: 0.001...100),
            volatility: try number(.volatility, in: 0.001...100))
    }
}
