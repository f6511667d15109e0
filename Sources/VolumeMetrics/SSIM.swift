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
///
/// Windows at the edge of a mask extend beyond it, so that voxels near the mask affect the value. A voxel whose window
/// holds a NaN is left out.
///
/// - Complexity: O(n) for a uniform window of any width, O(n * width) for a Gaussian one. Memory: five slices a core.
public struct SSIM: PairMetric {
    /// The window of the local means, variances and covariances, with its weights.
    public let window: SSIMWindow

    /// The range L of intensities.
    public let dataRange: DataRange

    /// The plane whose slices are compared one by one with a 2-D window, or `nil` for a 3-D window.
    public let plane: SlicePlane?

    /// Whether covariances are those of a sample (divided by n - 1) instead of a population.
    public let usesSampleCovariance: Bool

    /// Number of scales: 1, or 2 to 5 for multi-scale SSIM.
    public let scales: Int

    /// `ssim` or `ms_ssim`, followed by settings other than the defaults: `ssim_gaussian1.5`, `ssim_uniform5_axial`.
    public var name: String {
        var parts = [scales > 1 ? "ms_ssim" : "ssim"]
        if scales > 1, scales < 5 { parts.append("scales\(scales)") }
        if window != .uniform(width: 7) { parts.append(window.description) }
        if usesSampleCovariance != window.isUniform {
            parts.append(usesSampleCovariance ? "sample" : "population")
        }
        if let plane { parts.append(plane.rawValue) }
        return parts.joined(separator: "_") + dataRange.suffix
    }

    /// The formula.
    public var definition: String {
        "\(scales > 1 ? "SSIM of \(scales) scales" : "mean of SSIM") with \(window.text) windows "
            + (plane.map { "of \($0.rawValue) slices" } ?? "in 3-D")
            + ", \(usesSampleCovariance ? "sample" : "population") covariances, L = \(dataRange)"
    }

    /// Which values are better.
    public let goal = MetricGoal.highest

    /// The similarity for a window and a range of intensities, in 3-D or slice by slice.
    ///
    /// - Parameters:
    ///   - window: the window.
    ///   - dataRange: the range L of intensities.
    ///   - plane: the plane whose slices are compared one by one; `nil` for a 3-D window.
    ///   - usesSampleCovariance: whether covariances are divided by n - 1; by default for a uniform window only, as in
    ///     scikit-image and in Wang et al.
    ///   - scales: with 2 to 5, the multi-scale similarity of Wang, Simoncelli, Bovik (*Multi-Scale Structural Similarity
    ///     for Image Quality Assessment*, 2003): the product over scales of the mean of S's second factor, and at the last
    ///     of the mean of S, to the powers of that paper, divided by their sum. From scale to scale blocks of 2 x 2 (x 2)
    ///     voxels are averaged; a negative mean counts as zero.
    public init(
        window: SSIMWindow = .uniform(width: 7), dataRange: DataRange = .ofReference, plane: SlicePlane? = nil,
        usesSampleCovariance: Bool? = nil, scales: Int = 1
    ) {
        precondition((1...5).contains(scales), "SSIM has from 1 to 5 scales")
        (self.window, self.dataRange, self.plane, self.scales) = (window, dataRange, plane, scales)
        self.usesSampleCovariance = usesSampleCovariance ?? window.isUniform
    }

    /// The exponents of the scales (Wang, Simoncelli, Bovik 2003, section 3.2).
    private static let exponents = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]

    func value(of pair: VolumePair) throws -> Double {
        let local = try LocalSimilarity(of: pair, settings: self)
        guard scales > 1 else { return try local.mean(metric: name).similarity }
        try local.checkExtent(times: 1 << (scales - 1), metric: name)
        let exponents = Self.exponents.prefix(scales)
        let sum = exponents.reduce(0, +)
        var (current, product) = (local, 1.0)
        for (scale, exponent) in exponents.enumerated() {
            let isLast = scale == scales - 1
            let mean = try current.mean(metric: name)
            product *= pow(max(0, isLast ? mean.similarity : mean.contrast), exponent / sum)
            if !isLast { current = current.halved() }
        }
        return product
    }

    /// The local values S on the reference's grid; NaN where the window leaves the volume, or holds a NaN.
    ///
    /// The mean of the voxels in a mask that are not NaN is the value of the metric (with one scale).
    ///
    /// - Throws: `MetricError`, as for the value.
    public func map(_ prediction: Volume, against reference: Volume) throws -> Volume {
        try LocalSimilarity(of: VolumePair(prediction, reference, mask: nil), settings: self).map()
    }
}

/// The window of the local means, variances and covariances of SSIM.
public enum SSIMWindow: Hashable, Sendable, CustomStringConvertible {
    /// Equal weights over a cube (a square, slice by slice). The width is odd and at least 3.
    case uniform(width: Int)

    /// Gaussian weights with a standard deviation of `sigma` voxels, truncated at 3.5 sigma or to an odd `width`. Sigma
    /// 1.5, eleven voxels wide, is the window of Wang et al. and of scikit-image's
    /// `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`.
    case gaussian(sigma: Double, width: Int? = nil)

    /// `uniform7`, `gaussian1.5`, `gaussian1.5x7`.
    public var description: String {
        switch self {
        case .uniform(let width): "uniform\(width)"
        case .gaussian(let sigma, let width): "gaussian\(sigma)" + (width.map { "x\($0)" } ?? "")
        }
    }

    var text: String {
        switch self {
        case .uniform(let width): "uniform \(width)-voxel"
        case .gaussian(let sigma, _): "Gaussian (sigma \(sigma.shortText) voxels, \(width) wide)"
        }
    }

    var isUniform: Bool { if case .uniform = self { true } else { false } }

    /// Number of voxels along an axis.
    var width: Int {
        switch self {
        case .uniform(let width):
            precondition(width >= 3 && width % 2 == 1, "a uniform window must be odd and at least 3 wide")
            return width
        case .gaussian(let sigma, let width):
            precondition(sigma > 0 && sigma.isFinite, "sigma must be above zero")
            precondition(width.map { $0 >= 3 && $0 % 2 == 1 } ?? true, "a window must be odd, at least 3 wide")
            return width ?? 2 * max(1, Int(min(3.5 * sigma + 0.5, 1e6))) + 1
        }
    }

    /// The weights along an axis, which sum to 1, or `nil` for equal ones.
    var weights: [Double]? {
        guard case .gaussian(let sigma, _) = self else { return nil }
        let radius = width / 2
        let weights = (-radius...radius).map { exp(-0.5 * Double($0 * $0) / (sigma * sigma)) }
        let sum = weights.reduce(0, +)
        return weights.map { $0 / sum }
    }
}
