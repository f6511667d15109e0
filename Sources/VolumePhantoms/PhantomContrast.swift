import Foundation

/// A contrast in which a synthetic subject is imaged.
public enum PhantomContrast: String, CaseIterable, Hashable, Sendable {
    /// CT in Hounsfield units, in the form of the cohort's ``PhantomSource``.
    case ct
    /// T1-weighted: white matter above grey matter above fluid. The levels are drawn from ``PhantomAcquisition``.
    case t1
    /// T2-weighted spin echo: fluid far above grey matter, which is above white matter.
    case t2
    /// T2-weighted inversion recovery that suppresses fluid: grey matter above white matter, fluid dark, lesions bright.
    case flair
    /// Proton density-weighted spin echo: fluid above grey matter above white matter, all of them close.
    case pd
}

/// A spin-echo or inversion-recovery sequence: the ranges from which its times and its artefacts are drawn for each
/// subject.
///
/// The signal of a tissue with the proton density PD is
///
///     S = PD (1 - exp(-TR / T1)) exp(-TE / T2)                        spin echo
///     S = PD (1 - 2 exp(-TI / T1) + exp(-TR / T1)) exp(-TE / T2)      inversion recovery
///
/// (Bernstein, King, Zhou: *Handbook of MRI Pulse Sequences*, chapters 14.2 and 14.3). The inversion time is a multiple of
/// the one at which fluid gives no signal, TI = T1 (log 2 - log(1 + exp(-TR / T1))).
public struct PhantomSequence: Hashable, Sendable {
    /// TR, in milliseconds.
    public var repetitionTime: ClosedRange<Double>

    /// TE, in milliseconds.
    public var echoTime: ClosedRange<Double>

    /// TI relative to the time at which fluid gives no signal; `nil` for a spin echo.
    public var inversion: ClosedRange<Double>?

    /// Strength of the bias field, as in ``PhantomAcquisition/bias``. The default is 0.03 to 0.12: about 20 % from end to
    /// end at most.
    public var bias = 0.03...0.12

    /// Standard deviation of the gain of each slice around one. The default is 0.002 to 0.008.
    public var sliceGain = 0.002...0.008

    /// Standard deviation of the noise relative to white matter. The default is 0.01 to 0.03.
    public var noise = 0.01...0.03

    /// A sequence, with the default ranges of artefacts.
    ///
    /// - Parameters:
    ///   - repetitionTime: TR, in milliseconds, above zero.
    ///   - echoTime: TE, in milliseconds, not negative.
    ///   - inversion: TI relative to the time at which fluid gives no signal; `nil` for a spin echo.
    public init(
        repetitionTime: ClosedRange<Double>, echoTime: ClosedRange<Double>,
        inversion: ClosedRange<Double>? = nil
    ) {
        precondition(repetitionTime.lowerBound > 0, "the repetition time must be above zero")
        precondition(echoTime.lowerBound >= 0, "the echo time must not be negative")
        (self.repetitionTime, self.echoTime, self.inversion) = (repetitionTime, echoTime, inversion)
    }

    /// The sequence with the middle of each range of times, and without artefacts.
    var ideal: PhantomSequence {
        func middle(_ range: ClosedRange<Double>) -> ClosedRange<Double> {
            let middle = (range.lowerBound + range.upperBound) / 2
            return middle...middle
        }
        var ideal = PhantomSequence(
            repetitionTime: middle(repetitionTime), echoTime: middle(echoTime), inversion: inversion.map(middle)
        )
        (ideal.bias, ideal.sliceGain, ideal.noise) = (0...0, 0...0, 0...0)
        return ideal
    }
}

/// What a tissue contributes to a spin echo.
struct TissueRelaxation {
    /// T1 and T2 in milliseconds.
    var t1, t2: Double
    /// The density of protons relative to fluid.
    var density: Double

    /// The signal relative to that of fluid without any relaxation; negative before the null of an inversion.
    func signal(repetition tr: Double, echo te: Double, inversion ti: Double?) -> Double {
        let recovered = ti.map { 1 - 2 * exp(-$0 / t1) + exp(-tr / t1) } ?? 1 - exp(-tr / t1)
        return density * recovered * exp(-te / t2)
    }

    /// The inversion time at which the tissue gives no signal.
    func null(repetition tr: Double) -> Double { t1 * (log(2) - log(1 + exp(-tr / t1))) }
}

/// The relaxation of the tissues of a head at 1.5 T, those of the simulated brain database (Kwan, Evans, Pike: *MRI
/// Simulation-Based Evaluation of Image-Processing and Classification Methods*, IEEE Transactions on Medical Imaging 18,
/// 1999). Marrow is that of the skull, mostly fat.
struct RelaxationTable {
    private(set) var fat = TissueRelaxation(t1: 350, t2: 70, density: 1)
    private(set) var muscle = TissueRelaxation(t1: 900, t2: 47, density: 1)
    private(set) var marrow = TissueRelaxation(t1: 420, t2: 65, density: 0.7)
    private(set) var fluid = TissueRelaxation(t1: 2569, t2: 329, density: 1)
    private(set) var grey = TissueRelaxation(t1: 833, t2: 83, density: 0.86)
    private(set) var white = TissueRelaxation(t1: 500, t2: 70, density: 0.77)
    private(set) var lesion = TissueRelaxation(t1: 752, t2: 237, density: 0.76)

    /// The table of a subject, whose times differ from the published ones by a factor of up to 1 ± `variation`.
    init(_ random: SubjectRandom, variation: Double) {
        let tissues = [\Self.fluid, \.grey, \.white, \.lesion, \.fat, \.muscle, \.marrow]
        for (place, tissue) in tissues.enumerated() {
            let factors = (0..<2).map {
                1 + variation * random.uniform(.relaxation, 2 * place + $0, in: -1...1)
            }
            self[keyPath: tissue].t1 *= factors[0]
            self[keyPath: tissue].t2 *= factors[1]
        }
    }

    /// The signals of a sequence, scaled so that that of white matter is `gain`.
    func levels(repetition tr: Double, echo te: Double, inversion ti: Double?, gain: Double) -> TissueLevels {
        let scale = gain / white.signal(repetition: tr, echo: te, inversion: ti)
        func level(_ tissue: TissueRelaxation) -> Float {
            Float(scale * tissue.signal(repetition: tr, echo: te, inversion: ti))
        }
        return Tissue.levels(
            air: 0, fat: level(fat), muscle: level(muscle), bone: 0, marrow: level(marrow), fluid: level(fluid),
            grey: level(grey), white: level(white), lesion: level(lesion))
    }
}
