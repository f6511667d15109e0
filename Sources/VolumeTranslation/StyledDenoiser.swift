import ReferenceUNet
import SliceSampling
import StyleKeys

/// A denoiser whose predictions take on a style.
///
/// What it is conditioned on is made once for a volume: that is the place for whatever depends on the style,
/// or on the source as a whole, and not on the window or the timestep.
public protocol StyledDenoiser: SliceDenoiser {
    /// What rows and columns of a slice must be divisible by.
    var sizeMultiple: Int { get }

    /// What to condition on.
    ///
    /// - Parameters:
    ///   - source: the volume that will be sampled from, with intensities from -1 to 1, background at -1.
    ///   - style: the style wanted.
    func conditioning(for source: Volume, style: StyleKey) throws -> Conditioning
}

extension UNetDenoiser: StyledDenoiser {
    /// What each halving of the resolution needs.
    public var sizeMultiple: Int { network.configuration.sizeMultiple }

    /// The style key itself.
    ///
    /// - Throws: ``TranslationError/styleBins(found:expected:)`` where it has not as many bins as the network
    ///   takes.
    public func conditioning(for source: Volume, style: StyleKey) throws -> StyleKey {
        if let bins = network.configuration.contextWidth, bins != style.bins {
            throw TranslationError.styleBins(found: style.bins, expected: bins)
        }
        return style
    }
}
