import Foundation
import VoxelBridge

/// An Ornstein-Uhlenbeck process that begins at the target x_0, is drawn towards the source y, and is tied to it at the
/// end (GOUB, arXiv 2312.10299). With u for the time, from 0 to 1:
///
///     dx = theta (y - x) du + sigma dw
///     x_u = a x_0 + (1 - a) y + s eps
///     a = sinh(theta (1 - u)) / sinh(theta)
///     s² = sigma² / theta · sinh(theta u) sinh(theta (1 - u)) / sinh(theta)
///
/// As theta goes to 0 it becomes a Brownian bridge. The larger theta is, the sooner x_u leaves x_0 for y, and the
/// longer the noise stays at its greatest in between.
struct OrnsteinUhlenbeckBridge: StorablePath, Equatable {
    /// The name in files.
    static let kind = "ornstein_uhlenbeck_bridge"

    /// T.
    let trainingTimesteps: Int

    /// theta: how strongly x_u is drawn towards y, above zero.
    let attraction: Double

    /// sigma: the deviation of the noise added in a unit of time, above zero.
    let volatility: Double

    init(trainingTimesteps: Int = 1000, attraction: Double = 2, volatility: Double = 1) {
        precondition(trainingTimesteps > 1 && attraction > 0 && volatility > 0, "there is no such bridge")
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

    /// u, which never reaches the ends, where there is no noise.
    func time(_ t: Int) -> Double { Double(t + 1) / Double(trainingTimesteps + 1) }
}

extension OrnsteinUhlenbeckBridge {
    private enum CodingKeys: String, CodingKey {
        case trainingTimesteps = "timesteps"
        case attraction, volatility
    }

    /// Decodes a bridge. What a file says is checked here: an error is the file's, not the program's.
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
