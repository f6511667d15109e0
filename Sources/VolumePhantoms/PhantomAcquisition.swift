import Foundation

/// How a cohort is imaged: the ranges that each subject's contrast and artefacts are drawn from, evenly.
///
/// The target is a T1-weighted magnitude image, white above grey above fluid, skull-stripped, in arbitrary units:
/// `gain * level^exponent * bias`, averaged over the slice's thickness, times the slice's gain, with Rician noise.
/// The source is a CT in Hounsfield units (HU), averaged over the same thickness, with normal noise.
public struct PhantomAcquisition: Hashable, Sendable {
    /// Level of fluid against white matter before the exponent. The default is 0.18 to 0.32.
    public var fluidLevel = 0.18...0.32

    /// Level of grey against white matter before the exponent. The default is 0.6 to 0.75.
    public var greyLevel = 0.6...0.75

    /// Exponent of the contrast curve: above one grey matter and fluid are darker. The default is 0.7 to 1.4.
    public var contrastExponent = 0.7...1.4

    /// Intensity of white matter, in the target's arbitrary units. The default is 400 to 1200.
    public var gain = 400.0...1200.0

    /// Strength b of the bias field, which is exp(b f) for a smooth f between -1 and 1. The default is 0.05 to 0.3.
    public var bias = 0.05...0.3

    /// Standard deviation of the slices' gain about one, slice from slice independently: what makes neighbouring
    /// slices of the target inconsistent. The default is 0.01 to 0.04.
    public var sliceGain = 0.01...0.04

    /// Standard deviation of the target's noise against white matter. The default is 0.01 to 0.03.
    public var noise = 0.01...0.03

    /// Thickness of an axial slice against the distance between slices, from 1 (touching, no overlap) to 3. The
    /// default is 1 to 1.8.
    public var sliceThickness = 1.0...1.8

    /// Standard deviation of the source's noise in HU. The default is 4 to 8, that of a routine head CT.
    public var sourceNoise = 4.0...8.0

    /// CT number of the skull's tables in HU. The default is 900 to 1400.
    public var boneNumber = 900.0...1400.0

    /// The default ranges.
    public init() {}

    /// An ideal scanner: one contrast for all, no noise, no bias, slices that agree.
    public static let ideal: PhantomAcquisition = {
        var ideal = PhantomAcquisition()
        (ideal.fluidLevel, ideal.greyLevel) = (0.25...0.25, 0.68...0.68)
        (ideal.contrastExponent, ideal.gain) = (1...1, 800...800)
        (ideal.bias, ideal.sliceGain, ideal.noise) = (0...0, 0...0, 0...0)
        (ideal.sliceThickness, ideal.sourceNoise, ideal.boneNumber) = (1...1, 0...0, 1100...1100)
        return ideal
    }()
}

/// What the source of a pair shows of the head.
public enum PhantomSource: String, CaseIterable, Sendable {
    /// The head in the window of 0 to 80 HU, in which brain is read: bone at its top, air and fat at its bottom. The
    /// default: scaled to [0, 1] for a network, grey and white matter still lie a tenth of the range apart.
    case window
    /// The head as a scanner stores it, from -1024 to 3071 HU.
    case head
    /// The window, skull-stripped as the target is, with 0 outside the brain.
    case brain
}

/// How one subject was imaged: what was drawn from the ranges of a ``PhantomAcquisition``.
public struct PhantomStyle: Hashable, Sendable {
    /// Level of fluid against white matter before the exponent.
    public let fluidLevel: Double
    /// Level of grey against white matter before the exponent.
    public let greyLevel: Double
    /// Exponent of the contrast curve.
    public let contrastExponent: Double
    /// Intensity of white matter in the target.
    public let gain: Double
    /// Strength of the bias field.
    public let bias: Double
    /// Standard deviation of the slices' gain about one.
    public let sliceGain: Double
    /// Standard deviation of the target's noise against white matter.
    public let noise: Double
    /// Thickness of a slice against the distance between slices.
    public let sliceThickness: Double
    /// Standard deviation of the source's noise in HU.
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
