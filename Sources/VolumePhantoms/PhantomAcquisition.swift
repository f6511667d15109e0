import Foundation

/// The ranges from which the contrast and the artefacts of each subject are drawn, uniformly.
///
/// The target is a T1-weighted magnitude image, white above grey above fluid, skull-stripped, in arbitrary units:
/// `gain * level^exponent * bias`, averaged over the slice's thickness, times the slice's gain, with Rician noise.
/// T2, FLAIR and proton density follow from the relaxation of the tissues (``PhantomSequence``). They have the artefacts of
/// the target, from ranges of their own; white matter has the gain.
/// The source is a CT in Hounsfield units (HU), averaged over the same thickness, with normal noise.
public struct PhantomAcquisition: Hashable, Sendable {
    /// Level of fluid relative to white matter, before the exponent. The default is 0.18 to 0.32.
    public var fluidLevel = 0.18...0.32

    /// Level of grey matter relative to white matter, before the exponent. The default is 0.6 to 0.75.
    public var greyLevel = 0.6...0.75

    /// Exponent of the contrast curve; grey matter and fluid are darker above one. The default is 0.7 to 1.4.
    public var contrastExponent = 0.7...1.4

    /// Intensity of white matter, in the target's arbitrary units. The default is 400 to 1200.
    public var gain = 400.0...1200.0

    /// Strength b of the bias field, which is exp(b f) for a smooth f between -1 and 1. The default is 0.05 to 0.3.
    public var bias = 0.05...0.3

    /// Standard deviation of the gain of each slice around one, independent from slice to slice: it makes adjacent slices
    /// of the target inconsistent. The default is 0.01 to 0.04.
    public var sliceGain = 0.01...0.04

    /// Standard deviation of the noise of the target, relative to white matter. The default is 0.01 to 0.03.
    public var noise = 0.01...0.03

    /// Thickness of an axial slice relative to the distance between slices, from 1 (no gap, no overlap) to 3. The default
    /// is 1 to 1.8.
    public var sliceThickness = 1.0...1.8

    /// Standard deviation of the noise of the source in HU. The default is 4 to 8, that of a routine head CT.
    public var sourceNoise = 4.0...8.0

    /// CT number of the skull's tables in HU. The default is 900 to 1400.
    public var boneNumber = 900.0...1400.0

    /// The T2-weighted sequence. The default has TR of 3.5 to 4.5 s and TE of 90 to 110 ms.
    public var t2 = PhantomSequence(repetitionTime: 3500...4500, echoTime: 90...110)

    /// The fluid-suppressing sequence. The default has TR of 8 to 10 s and TE of 120 to 150 ms, and an inversion time
    /// within 4 % of the one at which fluid gives no signal.
    public var flair = PhantomSequence(
        repetitionTime: 8000...10000, echoTime: 120...150, inversion: 0.96...1.04)

    /// The proton density-weighted sequence. The default has TR of 2.5 to 4 s and TE of 15 to 25 ms.
    public var protonDensity = PhantomSequence(repetitionTime: 2500...4000, echoTime: 15...25)

    /// The largest relative deviation of a tissue's T1 and T2 from the published ones. The default is 0.04.
    public var relaxationVariation = 0.04

    /// Number of lesions in the white matter, as in multiple sclerosis. The default is none.
    public var lesions = 0...0

    /// The default ranges.
    public init() {}

    /// An ideal scanner: one contrast, no noise, no bias, consistent slices.
    public static let ideal: PhantomAcquisition = {
        var ideal = PhantomAcquisition()
        (ideal.fluidLevel, ideal.greyLevel) = (0.25...0.25, 0.68...0.68)
        (ideal.contrastExponent, ideal.gain) = (1...1, 800...800)
        (ideal.bias, ideal.sliceGain, ideal.noise) = (0...0, 0...0, 0...0)
        (ideal.sliceThickness, ideal.sourceNoise, ideal.boneNumber) = (1...1, 0...0, 1100...1100)
        (ideal.t2, ideal.flair) = (ideal.t2.ideal, ideal.flair.ideal)
        ideal.protonDensity = ideal.protonDensity.ideal
        ideal.relaxationVariation = 0
        return ideal
    }()
}

/// The form of the source image.
public enum PhantomSource: String, CaseIterable, Sendable {
    /// The head, clipped to the brain window of 0 to 80 HU. The default: after scaling to [0, 1], grey and white matter
    /// are still a tenth of the range apart.
    case window
    /// The head with all CT numbers, from -1024 to 3071 HU.
    case head
    /// The brain window, skull-stripped like the target: 0 outside the brain.
    case brain
}

/// The contrast and the artefacts of one subject, drawn from the ranges of a ``PhantomAcquisition``.
public struct PhantomStyle: Hashable, Sendable {
    /// Level of fluid relative to white matter, before the exponent.
    public let fluidLevel: Double
    /// Level of grey matter relative to white matter, before the exponent.
    public let greyLevel: Double
    /// Exponent of the contrast curve.
    public let contrastExponent: Double
    /// Intensity of white matter in the target.
    public let gain: Double
    /// Strength of the bias field.
    public let bias: Double
    /// Standard deviation of the gain of each slice around one.
    public let sliceGain: Double
    /// Standard deviation of the noise of the target, relative to white matter.
    public let noise: Double
    /// Thickness of a slice relative to the distance between slices.
    public let sliceThickness: Double
    /// Standard deviation of the noise of the source in HU.
    public let sourceNoise: Double
    /// CT number of the skull's tables in HU.
    public let boneNumber: Double

    init(_ random: SubjectRandom, from ranges: PhantomAcquisition) {
        func draw(_ index: Int, _ range: ClosedRange<Double>) -> Double {
            random.uniform(.style, index, in: range)
        }
        fluidLevel = draw(0, ranges.fluidLevel)
        greyLevel = draw(1, ranges.greyLevel)
        contrastExponent = draw(2, ranges.contrastExponent)
        gain = draw(3, ranges.gain)
        bias = draw(4, ranges.bias)
        sliceGain = draw(5, ranges.sliceGain)
        noise = draw(6, ranges.noise)
        sliceThickness = draw(7, ranges.sliceThickness)
        sourceNoise = draw(8, ranges.sourceNoise)
        boneNumber = draw(9, ranges.boneNumber)
    }
}
