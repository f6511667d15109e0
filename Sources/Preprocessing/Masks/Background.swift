import Foundation
import Volumes
import VoxelSupport

/// Which intensities count as background if they are connected to a face of the volume.
///
/// Voxels that are NaN or infinite are background always.
public enum Background: Hashable, Sendable {
    /// What the border of the volume shows: a constant, or a level and its noise. In a CT it is air, and what lies outside
    /// its field of view.
    case border

    /// The least intensity.
    case lowest

    /// One intensity.
    case value(Double)

    /// An intensity and all below it.
    case atMost(Double)
}

extension Background {
    /// The CT numbers of air, in which a scanner's noise and calibration leave it.
    private static let air: ClosedRange<Float> = -1100 ... -900

    /// The deviations of noise, above which no voxel of millions lies by chance.
    private static let noiseDeviations = 8.0

    /// The intensities that count as background in a volume, or `nil` if none do.
    func intensities(in volume: Volume) -> ClosedRange<Float>? {
        switch self {
        case .border: return Self.borderIntensities(in: volume)
        case .lowest:
            let range = volume.finiteRange ?? 0...0
            let share = Float(IntensityConvention.backgroundThreshold)
            let limit = range.lowerBound + share * (range.upperBound - range.lowerBound)
            return range.lowerBound...max(range.lowerBound, limit.nextDown)
        case .value(let value):
            let tolerance = max(abs(value) * 1e-6, 1e-30)
            return Float(value - tolerance)...Float(value + tolerance)
        case .atMost(let value): return -.infinity...Float(value)
        }
    }

    /// Whether the volume is a CT in Hounsfield units: there is air on its faces.
    ///
    /// Padding beyond a field of view, whatever its number, takes most of the faces of a CT; air has its share of the rest.
    package static func isHounsfield(_ volume: Volume) -> Bool { airOnFaces(of: volume) != nil }

    /// The air on the faces of a CT, or `nil` if the volume is not a CT.
    private static func airOnFaces(of volume: Volume) -> OrderStatistics? {
        var (inAir, count): ([Float], Int) = ([], 0)
        volume.grid.forEachFaceVoxel { index in
            count += 1
            if air.contains(volume.voxels[index]) { inAir.append(volume.voxels[index]) }
        }
        return inAir.count * 20 >= count ? OrderStatistics(inAir) : nil
    }

    private static func borderIntensities(in volume: Volume) -> ClosedRange<Float>? {
        if let found = airOnFaces(of: volume) {
            // Scanned air has noise and streaks, and skin is half of the way to it. A number that was filled in has none.
            let spread = found.quantiles([0.05, 0.95])!
            return -.infinity...(spread[1] - spread[0] > 2 ? -500 : air.upperBound)
        }
        let grid = volume.grid
        // Edges, where two faces meet: a face may cut through the body, an edge hardly does.
        let edge = OrderStatistics(grid.edgeVoxels.map { volume.voxels[$0] })
        guard let level = edge.quantile(0.5) else { return nil }
        // Of noise that is cut off below, as in magnitudes, the upper half is whole.
        let noise = max(edge.deviation(from: level), (edge.quantile(0.75)! - level) / 0.6745)
        // A million voxels tell the range well enough. An odd step does not follow rows.
        let step = (grid.count >> 20) | 1
        let sample = stride(from: 0, to: grid.count, by: step).lazy.map { volume.voxels[$0] }
        let rest = OrderStatistics(Array(sample.filter { abs(Double($0) - level) > noise }))
        guard let ends = rest.quantiles([0.001, 0.999]) else { return Float(level)...Float(level) }
        let range = max(abs(ends[1] - level), abs(level - ends[0]))
        let tolerance = range * IntensityConvention.backgroundThreshold
        if noise > tolerance {
            let limit = level + noiseDeviations * noise
            // Noise that reaches half of the range is tissue: the border cuts through the body.
            return limit < level + range / 2 && level < ends[1] ? -.infinity...Float(limit) : nil
        }
        // A constant. Noise may begin beside it, as where corners were masked or numbers cut off.
        let constant = Float(level - tolerance)...Float(level + tolerance)
        var beside: [Float] = []
        grid.forEachFaceVoxel { index in
            if !constant.contains(volume.voxels[index]) { beside.append(volume.voxels[index]) }
        }
        let others = OrderStatistics(beside)
        guard let median = others.quantile(0.5), median > level else { return constant }
        let limit = median + noiseDeviations * others.deviation(from: median)
        return limit < level + range / 4 ? -.infinity...Float(limit) : constant
    }
}

extension OrderStatistics {
    /// The standard deviation of normal noise about a level, from the median distance.
    fileprivate func deviation(from level: Double) -> Double {
        1.4826 * (OrderStatistics(finite.map { abs($0 - Float(level)) }).quantile(0.5) ?? 0)
    }
}

extension VoxelGrid {
    /// The voxels on the twelve edges of the grid, each at least once.
    fileprivate var edgeVoxels: [Int] {
        let last = shape &- 1
        var voxels: [Int] = []
        for (a, b, c) in [(0, 1, 2), (1, 2, 0), (2, 0, 1)] {
            for corner in 0..<4 {
                var place = SIMD3<Int>.zero
                (place[b], place[c]) = (corner & 1 == 0 ? 0 : last[b], corner & 2 == 0 ? 0 : last[c])
                for i in 0...last[a] {
                    place[a] = i
                    voxels.append(offset(place.x, place.y, place.z))
                }
            }
        }
        return voxels
    }
}

extension Volume {
    /// The least and the greatest of the finite intensities, or `nil` if there are none. O(n).
    var finiteRange: ClosedRange<Float>? {
        var (low, high) = (Float.infinity, -Float.infinity)
        for value in voxels where value.isFinite { (low, high) = (min(low, value), max(high, value)) }
        return low <= high ? low...high : nil
    }
}

// MARK: As text

/// In JSON and on a command line: `border`, `lowest`, a number, or `below:` and a number.
extension Background: Codable, CustomStringConvertible {
    /// A background from its text.
    ///
    /// - Throws: ``IntensityRuleError``.
    public init(_ text: String) throws(IntensityRuleError) {
        let below = "below:"
        let number = Double(text.hasPrefix(below) ? String(text.dropFirst(below.count)) : text)
        switch (text, number) {
        case ("border", _): self = .border
        case ("lowest", _): self = .lowest
        case (_, let number?) where number.isFinite:
            self = text.hasPrefix(below) ? .atMost(number) : .value(number)
        default:
            throw IntensityRuleError(
                found: "\"\(text)\"",
                expected: "border, lowest, the intensity of the background, or below:NUMBER")
        }
    }

    /// The text.
    public var description: String {
        switch self {
        case .border: "border"
        case .lowest: "lowest"
        case .value(let value): value.plainText
        case .atMost(let value): "below:\(value.plainText)"
        }
    }

    /// Decodes a text.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        do { self = try Background(container.decode(String.self)) } catch let error as IntensityRuleError {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(error)")
        }
    }

    /// Encodes the text.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
