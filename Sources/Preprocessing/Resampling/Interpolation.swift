import Foundation

/// How a volume is continued between its voxels' centres.
public enum Interpolation: String, CaseIterable, Codable, Sendable {
    /// The nearest voxel: for labels and masks. Order 0.
    case nearest
    /// Along straight lines between neighbours: no value leaves their range. Order 1.
    case linear
    /// The cubic B-spline through all voxels: sharper, but it overshoots at edges by a few percent of the step. Order 3.
    case cubic
}

/// Smoothing before a volume is resampled to a coarser grid, which avoids aliasing.
public enum Antialiasing: String, CaseIterable, Codable, Sendable {
    /// Nothing: the coarse grid samples the fine one.
    case none
    /// A Gaussian along each axis on which the new grid is coarser. Its standard deviation is
    /// sqrt(k² - 1) / (2 sqrt(2 ln 2)) voxels where the new spacing is k of the old one's: it widens a voxel's profile from
    /// the old spacing to the new (Cardoso et al., *Scale factor point spread function matching*, MICCAI 2015).
    case gaussian

    /// The standard deviation in voxels for a new spacing of sqrt(`squaredRatio`) old ones.
    func standardDeviation(squaredRatio: Double) -> Double {
        // A ratio that rounding lifts above 1 is no reason to smooth.
        self == .gaussian && squaredRatio > 1 + 1e-6 ? ((squaredRatio - 1) / (8 * log(2))).squareRoot() : 0
    }
}
