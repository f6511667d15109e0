import Volumes

/// The foreground of a volume.
///
/// The background is all voxels at the bottom of the range of intensities that are connected to a face of the volume.
/// Dark regions enclosed by the foreground, such as the ventricles, belong to the foreground.
public struct ForegroundMask: Sendable, CustomStringConvertible {
    /// The largest intensity of the background, as a fraction of the range of intensities: 0.001.
    public static let defaultThreshold = Float(IntensityConvention.backgroundThreshold)

    /// Whether each voxel is foreground, x fastest.
    public let isForeground: [Bool]

    /// The foreground of a volume.
    ///
    /// - Parameters:
    ///   - volume: a volume whose lowest intensity is background.
    ///   - threshold: the largest intensity of the background, as a fraction of the range of intensities, 0 to 1.
    /// - Complexity: O(n).
    public init(of volume: Volume, threshold: Float = defaultThreshold) {
        let limit = Self.limit(in: volume, threshold: threshold)
        var isForeground = [Bool](repeating: true, count: volume.grid.count)
        let shape = volume.shape
        var front: [Int] = []
        func visit(_ offset: Int) {
            guard isForeground[offset], volume.voxels[offset] <= limit else { return }
            isForeground[offset] = false
            front.append(offset)
        }
        for z in 0..<shape.z {
            for y in 0..<shape.y {
                let isOnFace = z == 0 || z == shape.z - 1 || y == 0 || y == shape.y - 1
                for x in isOnFace ? Array(0..<shape.x) : [0, shape.x - 1] { visit(volume.grid.offset(x, y, z)) }
            }
        }
        while let offset = front.popLast() {
            let (x, rest) = (offset % shape.x, offset / shape.x)
            let (y, z) = (rest % shape.y, rest / shape.y)
            if x > 0 { visit(offset - 1) }
            if x < shape.x - 1 { visit(offset + 1) }
            if y > 0 { visit(offset - shape.x) }
            if y < shape.y - 1 { visit(offset + shape.x) }
            if z > 0 { visit(offset - shape.x * shape.y) }
            if z < shape.z - 1 { visit(offset + shape.x * shape.y) }
        }
        self.isForeground = isForeground
    }

    /// The number of foreground voxels and of all voxels. O(n).
    public var description: String {
        "\(isForeground.count { $0 }) of \(isForeground.count) voxels are foreground"
    }

    /// A volume with its background set to `value`. O(n).
    public func clearingBackground(of volume: Volume, to value: Float = 0) -> Volume {
        precondition(volume.grid.count == isForeground.count, "the mask is that of another volume")
        var cleared = volume
        cleared.voxels.withUnsafeMutableBufferPointer { voxels in
            for index in voxels.indices where !isForeground[index] { voxels[index] = value }
        }
        return cleared
    }

    /// The largest intensity of the background.
    private static func limit(in volume: Volume, threshold: Float) -> Float {
        let range = volume.intensityRange
        return range.lowerBound + threshold * (range.upperBound - range.lowerBound)
    }
}
