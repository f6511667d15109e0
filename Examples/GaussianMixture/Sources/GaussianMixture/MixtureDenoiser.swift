import Foundation
import SliceSampling

/// A mixture of normal distributions, from which every voxel of the target is drawn independently of the source.
struct Mixture {
    struct Component {
        let weight, mean, deviation: Double
    }

    let components: [Component]

    var mean: Double { components.reduce(0) { $0 + $1.weight * $1.mean } }

    var deviation: Double {
        let square = components.reduce(0) { $0 + $1.weight * ($1.mean * $1.mean + $1.deviation * $1.deviation) }
        return (square - mean * mean).squareRoot()
    }

    /// E[x_0 | x_t, y] where x_t = a_t x_0 + b_t y + s_t eps: the mean of each component's posterior, weighted by how
    /// likely x_t is under it.
    func posteriorMean(noisy x: Double, source y: Double, at path: PathCoefficients) -> Double {
        let terms = components.map { component -> (logDensity: Double, mean: Double) in
            let variance = component.deviation * component.deviation
            let spread = path.target * path.target * variance + path.variance
            let offset = x - path.source * y - path.target * component.mean
            return (
                log(component.weight / spread.squareRoot()) - offset * offset / (2 * spread),
                component.mean + path.target * variance / spread * offset
            )
        }
        // Relative to the likeliest component, so that the terms do not all underflow.
        let highest = terms.map(\.logDensity).max()!
        let shares = terms.map { exp($0.logDensity - highest) }
        return zip(shares, terms).reduce(0) { $0 + $1.0 * $1.1.mean } / shares.reduce(0, +)
    }
}

/// The optimal denoiser for a mixture, from the distribution and the path.
struct MixtureDenoiser: SliceDenoiser {
    let mixture: Mixture
    let path: any GaussianPath
    let radius = 0
    let predictionType = PredictionType.sample

    func predict(_ windows: SliceWindows, at timestep: Int, conditioning: Void) async throws -> [Float] {
        let coefficients = path.coefficients(at: timestep)
        return (0..<windows.count).flatMap { index in
            zip(windows.noisy(index), windows.source(index)).map { x, y in
                Float(mixture.posteriorMean(noisy: Double(x), source: Double(y), at: coefficients))
            }
        }
    }
}
