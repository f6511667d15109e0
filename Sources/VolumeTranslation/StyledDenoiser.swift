public import DiffusionSampling
public import SliceSampling
public import StyleKeys
public import Volumes

/// A denoiser whose predictions take on a style.
///
/// What it is conditioned on is made once for a volume: that is the place for whatever depends on the style, or on the
/// source as a whole, and not on the window or the timestep.
public protocol StyledDenoiser: SliceDenoiser {
    /// What rows and columns of a slice must be divisible by.
    var sizeMultiple: Int { get }

    /// What the model was trained for, where it says so. `nil` unless a conformer has it.
    var settings: TranslationSettings? { get }

    /// Whether predictions depend on x_t. If not, one step gives the result of many. `true` unless a conformer says
    /// otherwise.
    var dependsOnNoisy: Bool { get }

    /// What of the model decides the bits of a prediction, by name, for example a fingerprint of its weights: a saved
    /// translation is resumed only where these are equal. None unless a conformer has them.
    var runSettings: [RunSetting] { get }

    /// What to condition on.
    ///
    /// - Parameters:
    ///   - source: the volume that will be sampled from, with intensities from -1 to 1, background at -1.
    ///   - style: the style wanted.
    func conditioning(for source: Volume, style: StyleKey) throws -> Conditioning
}

extension StyledDenoiser {
    /// Yes.
    public var dependsOnNoisy: Bool { true }

    /// None.
    public var settings: TranslationSettings? { nil }

    /// None.
    public var runSettings: [RunSetting] { [] }
}
