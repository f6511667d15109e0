import Foundation
import Volumes

/// Structural similarity: how alike the patterns around each voxel are. 1 is best; it can fall below 0.
///
///     S = (2 mu_p mu_r + C1) (2 sigma_pr + C2) / ((mu_p^2 + mu_r^2 + C1) (sigma_p^2 + sigma_r^2 + C2))
///
/// with means mu, variances sigma^2 and covariance sigma_pr over a window around a voxel, C1 = (0.01 L)^2 and
/// C2 = (0.03 L)^2 for a data range L. The value is the mean of S over all voxels whose window lies in the
/// volume. Wang, Bovik, Sheikh, Simoncelli: *Image Quality Assessment: From Error Visibility to Structural
/// Similarity*, IEEE TIP 2004.
///
/// Values are those of scikit-image's `structural_similarity`: the default is its default, for three
/// dimensions. Slice by slice it is the mean over the slices' values, as papers on 2-D networks report it.
public struct SSIM: VolumeMetric {
    /// Where the local means, variances and covariances are taken, and how they are weighed.
    public let window: SSIMWindow

    /// The range L of intensities.
    public let dataRange: DataRange

    /// The plane whose slices are judged one by one with a flat window, or `nil` for a window in all three
    /// dimensions.
    public let plane: SlicePlane?

    /// `ssim`, with what is not the default behind it: `ssim_gaussian1.5`, `ssim_uniform5_axial`.
    public var name: String {
        var parts = ["ssim"]
        if window != .uniform(width: 7) { parts.append(window.description) }
        if let plane { parts.append(plane.rawValue) }
        return parts.joined(separator: "_")
    }

    /// The similarity for a window and a range of intensities, in all dimensions or slice by slice.
    public init(
        window: SSIMWindow = .uniform(width: 7), dataRange: DataRange = .ofReference, plane: SlicePlane? = nil
    ) {
        self.window = window
        self.dataRange = dataRange
        self.plane = plane
    }

    /// The mean of S over the mask's voxels whose window lies in the volume.
    ///
    /// Windows at the edge of the mask reach beyond it, so voxels near it count too. O(n), whatever the width,
    /// for a uniform window; O(n * width) for a Gaussian one. Memory: five slices.
    ///
    /// - Throws: also `MetricError.smallerThanWindow`, and `MetricError.zeroNormaliser` where the range is
    ///   taken of a reference that is constant.
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

/// The window over which SSIM takes its local means, variances and covariances.
public enum SSIMWindow: Hashable, Sendable, CustomStringConvertible {
    /// All voxels of a cube (a square, slice by slice) weigh the same, and the covariances are those of a sample
    /// (divided by n - 1). The width is odd and at least 3.
    case uniform(width: Int)

    /// Weights fall off as a Gaussian of `sigma` voxels, cut at 3.5 sigma; the covariances are those of a
    /// population. With sigma 1.5, eleven voxels wide, this is the window of Wang et al.; scikit-image's
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
