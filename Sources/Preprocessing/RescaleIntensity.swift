import Volumes

/// Scales the intensities so that the least becomes 0 and the greatest 1.
public struct RescaleIntensity: VolumeTransform {
    /// A step that scales to 0 ... 1.
    public init() {}

    /// The scaled volume. O(n).
    ///
    /// - Throws: ``PreprocessingError/constantVolume(_:)`` where there is no range to scale.
    public func apply(to volume: Volume) throws -> TransformedVolume {
        let range = volume.intensityRange
        // In double precision: the range of two finite floats may exceed the largest float.
        let (low, extent) = (Double(range.lowerBound), Double(range.upperBound) - Double(range.lowerBound))
        guard extent > 0 else { throw PreprocessingError.constantVolume(range.lowerBound) }
        return TransformedVolume(
            volume: volume.map { Float((Double($0) - low) / extent) },
            inverse: .intensity { $0.map { Float(Double($0) * extent + low) } })
    }
}
