import Foundation
import Volumes

/// Structural similarity index. 1 is best; it can be negative.
///
///     S = (2 mu_p mu_r + C1) (2 sigma_pr + C2) / ((mu_p^2 + mu_r^2 + C1) (sigma_p^2 + sigma_r^2 + C2))
///
/// with means mu, variances sigma^2 and covariance sigma_pr over a window around a voxel, C1 = (0.01 L)^2 and
/// C2 = (0.03 L)^2 for a data range L. The value is the mean of S over all voxels whose window is within the
/// volume. Wang, Bovik, Sheikh, Simoncelli: *Image Quality Assessment: From Error Visibility to Structural
/// Similarity*, IEEE TIP 2004.
///
/// Values are those of scikit-image's `structural_similarity` with the same defaults, in three dimensions. With a plane,
/// it is the mean of the values of the plane's slices, which papers on 2-D networks report.
public struct SSIM: VolumeMetric {
    /// The window of the local means, variances and covariances, with its weights.
    public let window: SSIMWindow

    /// The range L of intensities.
    public let dataRange: DataRange

    /// The plane whose slices are compared one by one with a 2-D window, or `nil` for a 3-D window.
    public let plane: SlicePlane?

    /// `ssim`, followed by settings other than the defaults: `ssim_gaussian1.5`, `ssim_uniform5_axial`.
    public var name: String {
        var parts = ["ssim"]
        if window != .uniform(width: 7) { parts.append(window.description) }
        if let plane { parts.append(plane.rawValue) }
        return parts.joined(separator: "_")
    }

    /// The similarity for a window and a range of intensities, in 3-D or slice by slice.
    public init(
        window: SSIMWindow = .uniform(width: 7), dataRange: DataRange = .ofReference, plane: SlicePlane? = nil
    ) {
        self.window = window
        self.dataRange = dataRange
        self.plane = plane
    }

    /// The mean of S over the voxels in the mask whose window is within the volume.
    ///
    /// Windows at the edge of the mask extend beyond it, so that voxels near the mask affect the value. O(n) for a uniform
    /// window of any width, O(n * width) for a Gaussian one. Memory: five slices.
    ///
    /// - Throws: `MetricError`; `smallerThanWindow`, and `zeroNormaliser` if the range is that of a constant reference.
    public func callAsFunction(
        _ prediction: Volume, against reference: Volume, mask: Volume?
    ) throws -> Double {
        let sums = try ErrorSums(prediction, reference, mask: mask, metric: name)
        let range = try dataRange.value(sums.referenceRange, metric: name)
        let filter = window.filter
        let order = plane?.permutation(for: reference.grid) ?? .identity
        var extent = SIMD3(repeating: filter.width)
        if plane != nil { extent[order.sources[2]] = 1 }
        guard all(extent .<= reference.shape) else {
            throw MetricError.smallerThanWindow(metric: name, shape: reference.shape, window: extent)
        }

        let filters = [filter, filter, plane == nil ? filter : .identity]
        let similarity = LocalSimilarity(
            c1: (0.01 * range) * (0.01 * range), c2: (0.03 * range) * (0.03 * range),
            meanWeight: filters.reduce(1) { $0 / $1.totalWeight },
            covarianceScale: window.covarianceScale(samples: extent.x * extent.y * extent.z))
        let (total, count) = similarity.sum(
            prediction.permuted(order), reference.permuted(order), mask: mask?.permuted(order), filters: filters
        )
        guard count > 0 else { throw MetricError.emptyMask(metric: name) }
        guard total.isFinite else { throw MetricError.notFinite(metric: name) }
        return total / Double(count)
    }
}

/// The window of the local means, variances and covariances of SSIM.
public enum SSIMWindow: Hashable, Sendable, CustomStringConvertible {
    /// Equal weights over a cube (a square, slice by slice), with sample covariances (divided by n - 1). The width is odd
    /// and at least 3.
    case uniform(width: Int)

    /// Gaussian weights with a standard deviation of `sigma` voxels, truncated at 3.5 sigma, with population covariances.
    /// Sigma 1.5, eleven voxels wide, is the window of Wang et al. and scikit-image's
    /// `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`.
    case gaussian(sigma: Double)

    /// `uniform7`, `gaussian1.5`.
    public var description: String {
        switch self {
        case .uniform(let width): "uniform\(width)"
        case .gaussian(let sigma): "gaussian\(sigma)"
        }
    }

    var filter: AxisFilter {
        switch self {
        case .uniform(let width):
            precondition(width >= 3 && width % 2 == 1, "a uniform window must be odd and at least 3 wide")
            return .runningSum(width: width)
        case .gaussian(let sigma):
            precondition(sigma > 0 && sigma.isFinite, "sigma must be above zero")
            let radius = max(1, Int(3.5 * sigma + 0.5))
            return .weighted((-radius...radius).map { exp(-0.5 * Double($0 * $0) / (sigma * sigma)) })
        }
    }

    func covarianceScale(samples: Int) -> Double {
        switch self {
        case .uniform: Double(samples) / Double(samples - 1)
        case .gaussian: 1
        }
    }
}
