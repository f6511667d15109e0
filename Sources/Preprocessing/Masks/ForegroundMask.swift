import Volumes
import VoxelSupport

/// The voxels of a volume that show the subject.
///
/// ```swift
/// let head = ForegroundMask(of: ct)                                   // what differs from the border
/// let brain = try ForegroundMask.brain(inCT: ct)                      // without skull and scalp
/// let stored = ForegroundMask(above: 0, in: mask)                     // another program's mask
/// let cleared = brain.clearingBackground(of: ct, to: -1000)
/// ```
public struct ForegroundMask: Sendable, Equatable, CustomStringConvertible {
    /// The largest intensity of the background of a volume that is scaled to [0, 1]: 0.001.
    public static let defaultThreshold = Float(IntensityConvention.backgroundThreshold)

    /// Whether each voxel is foreground, x fastest.
    public let isForeground: [Bool]

    init(isForeground: [Bool]) { self.isForeground = isForeground }

    /// The foreground of a volume: all but the background, which is connected to a face of the volume.
    ///
    /// Dark regions enclosed by the foreground, such as the ventricles, belong to the foreground, unless they are NaN.
    ///
    /// - Parameters:
    ///   - volume: the volume.
    ///   - background: what counts as background.
    /// - Complexity: O(n).
    public init(of volume: Volume, background: Background = .border) {
        let voxels = volume.voxels
        guard let range = background.intensities(in: volume) else {
            self.init(isForeground: voxels.map(\.isFinite))
            return
        }
        let isBackground = connectedToFaces(volume.grid) { range.contains(voxels[$0]) || !voxels[$0].isFinite }
        self.init(isForeground: zip(isBackground, voxels).map { !$0 && $1.isFinite })
    }

    /// The voxels above a threshold, such as those of a mask that another program made.
    public init(above threshold: Float, in volume: Volume) {
        self.init(isForeground: volume.voxels.map { $0 > threshold })
    }

    /// The voxels above Otsu's threshold, the one that parts the intensities into the two classes that differ most. O(n).
    ///
    /// Otsu: *A Threshold Selection Method from Gray-Level Histograms*, IEEE Trans. Syst. Man Cybern. 1979; here of 256 bins
    /// between the percentiles 0.1 and 99.9.
    public static func otsu(of volume: Volume) -> ForegroundMask {
        ForegroundMask(above: otsuThreshold(of: volume), in: volume)
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

    /// The mask as a volume: 1 in the foreground and 0 elsewhere. O(n).
    public func volume(on grid: VoxelGrid) -> Volume {
        Volume(grid: grid, voxels: isForeground.map { $0 ? 1 : 0 })
    }

    /// The largest connected part of the mask; of equal ones, the first in storage. O(n).
    public func largestComponent(on grid: VoxelGrid) -> ForegroundMask {
        ForegroundMask(isForeground: largestPart(of: isForeground, grid: grid))
    }

    /// The mask with the holes filled that no path leaves to a face of the volume. O(n).
    public func fillingHoles(on grid: VoxelGrid) -> ForegroundMask {
        ForegroundMask(isForeground: connectedToFaces(grid) { !isForeground[$0] }.map { !$0 })
    }

    private static func otsuThreshold(of volume: Volume) -> Float {
        guard let ends = OrderStatistics(volume.voxels).quantiles([0.001, 0.999]), ends[1] > ends[0] else {
            return volume.finiteRange?.upperBound ?? 0
        }
        let bins = 256
        var counts = [Double](repeating: 0, count: bins)
        for value in volume.voxels where value.isFinite {
            let position = (Double(value) - ends[0]) / (ends[1] - ends[0]) * Double(bins)
            counts[Int(min(max(position, 0), Double(bins - 1)))] += 1
        }
        let total = counts.reduce(0, +)
        let sum = counts.enumerated().reduce(0) { $0 + Double($1.offset) * $1.element }
        var (below, sumBelow, best) = (0.0, 0.0, (bin: 0, variance: -1.0))
        for bin in 0..<bins - 1 {
            below += counts[bin]
            sumBelow += Double(bin) * counts[bin]
            guard below > 0, below < total else { continue }
            let difference = sumBelow / below - (sum - sumBelow) / (total - below)
            let variance = below * (total - below) * difference * difference
            if variance > best.variance { best = (bin, variance) }
        }
        return Float(ends[0] + Double(best.bin + 1) / Double(bins) * (ends[1] - ends[0]))
    }
}
