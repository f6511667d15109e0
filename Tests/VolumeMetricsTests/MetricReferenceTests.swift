import Foundation
import TestSupport
import Testing
import VolumeIO
import VolumeMetrics
import Volumes

/// Against numbers that scikit-image computed.
@Suite(.enabled(if: Fixtures.hasReference, Fixtures.missingReference))
struct MetricReferenceTests {
    /// The reference's name for each metric; the volumes are in [0, 1].
    private static let metrics: [(String, any VolumeMetric)] = [
        ("ssim_uniform7", SSIM(dataRange: .fixed(1))),
        ("ssim_uniform5", SSIM(window: .uniform(width: 5), dataRange: .fixed(1))),
        ("ssim_gaussian1.5", SSIM(window: .gaussian(sigma: 1.5), dataRange: .fixed(1))),
        ("ssim_slices_uniform7", SSIM(dataRange: .fixed(1), plane: .axial)),
        ("psnr", PSNR(dataRange: .fixed(1))),
        ("nrmse_euclidean", NRMSE()),
        ("nrmse_min-max", NRMSE(.minMax)),
        ("nrmse_mean", NRMSE(.mean)),
        ("nrmse_prediction_range", NRMSE(.predictionRange)),
        ("nmse", NMSE()),
        ("mae", MAE()),
    ]

    @Test func agreesWithScikitImage() throws {
        let json = try Data(contentsOf: Fixtures.reference("metrics.json"))
        let expected = try JSONDecoder().decode([String: Double].self, from: json)
        let prediction = try Volume(contentsOf: Fixtures.reference("metrics_prediction.nii.gz"))
        let reference = try Volume(contentsOf: Fixtures.reference("metrics_reference.nii.gz"))
        #expect(Set(expected.keys) == Set(Self.metrics.map(\.0)))
        for (name, metric) in Self.metrics {
            let value = try metric(prediction, against: reference)
            let wanted = try #require(expected[name])
            #expect(abs(value - wanted) <= 1e-7 * wanted, "\(name): \(value), scikit-image has \(wanted)")
        }
    }
}
