import Foundation
import Preprocessing
import Volumes
import VoxelSupport

/// Volumes on one grid that a page's viewer shows, in 8 bits.
struct EmbeddedVolumes: Encodable {
    /// A volume or a mask: its window, and the element that holds its bytes; or the difference of two others.
    struct Item: Encodable {
        let name: String
        let kind: String
        var id: String?
        var low: Double?
        var high: Double?
        /// What is black and what is white at first.
        var window: [Double]?
        /// Volumes of one unit share a window.
        var unit: String?
        /// The minuend and the subtrahend of a difference.
        var of: [Int]?
    }

    let shape: [Int]
    let spacing: [Double]
    /// The position of the first voxel in millimetres.
    let origin: [Double]
    /// The voxel of the first slices.
    let start: [Int]
    let radiological: Bool
    /// The greatest difference on the scale of colours at first.
    let difference: Double
    /// How the volumes were made smaller, and how intensities were rounded.
    let note: String
    let volumes: [Item]

    /// The bytes of each element, as gzip in base64.
    let streams: [(id: String, base64: String)]

    private enum CodingKeys: String, CodingKey {
        case shape, spacing, origin, start, radiological, difference, note, volumes
    }

    /// The most bytes of all elements together.
    static let budget = 9_500_000

    /// The most voxels of a volume: 168 along each axis.
    private static let mostVoxels = 4_741_632

    /// Volumes, which are on one grid, with as much precision as fits the budget.
    init(_ shown: ReportVolumes, convention: Montage.Convention) {
        let straight = shown.all.map { ($0.name, $0.volume.drawnStraight, $0.unit) }
        var factor = 1
        while straight[0].1.grid.count / (factor * factor * factor) > Self.mostVoxels { factor += 1 }
        var (levels, made) = (256, [Encoded]())
        var reduced = straight.map { $0.1.averaged(by: factor) }
        while true {
            let windows = Self.windows(reduced, units: straight.map(\.2))
            let (volumes, step) = (reduced, levels)
            made = concurrentMap(volumes.count) { Encoded(volumes[$0], window: windows[$0], levels: step) }
            if made.reduce(0, { $0 + $1.base64.utf8.count }) <= Self.budget { break }
            if levels > 32 {
                levels /= 2
            } else {
                (levels, factor) = (256, factor + 1)
                reduced = straight.map { $0.1.averaged(by: factor) }
            }
        }
        let grid = reduced[0].grid
        shape = (0..<3).map { grid.shape[$0] }
        spacing = (0..<3).map { grid.spacing[$0] }
        origin = (0..<3).map { grid.affine.translation[$0] }
        let centre = grid.voxel(atWorld: (shown.reference ?? shown.result).foregroundCentre)
        start = (0..<3).map { max(0, min(grid.shape[$0] - 1, Int(centre[$0].rounded()))) }
        radiological = convention == .radiological
        var items: [Item] = []
        var streams: [(String, String)] = []
        for (index, (entry, encoded)) in zip(straight, made).enumerated() {
            let (low, high) = (Double(encoded.window.low), Double(encoded.window.high))
            items.append(
                Item(
                    name: entry.0, kind: entry.2 == "mask" ? "mask" : "grey", id: "volume\(index)", low: low,
                    high: high,
                    window: [low, high],
                    unit: entry.2))
            streams.append(("volume\(index)", encoded.base64))
        }
        if shown.reference != nil {
            let (result, reference) = (
                items.firstIndex { $0.name == "Result" }!, items.firstIndex { $0.name == "Reference" }!
            )
            items.append(Item(name: "Difference", kind: "difference", of: [result, reference]))
        }
        let main = items.first { $0.name == "Reference" || $0.name == "Result" }!
        difference = max((main.high! - main.low!) / 4, 1e-30)
        volumes = items
        self.streams = streams
        var notes = ["Intensities are rounded to \(levels) levels between the ends of the scale."]
        if factor > 1 { notes.append("Voxels are means of blocks of \(factor) x \(factor) x \(factor).") }
        if !shown.result.grid.isAxisAligned {
            notes.append("The oblique volumes are resampled along the world's axes.")
        }
        note = notes.joined(separator: " ")
    }

    /// The window of each volume: those of one unit share one, that of the last, which is the reference if there is one.
    private static func windows(_ volumes: [Volume], units: [String]) -> [GreyWindow] {
        units.map { unit in GreyWindow(fitting: volumes[units.lastIndex(of: unit)!]) }
    }
}

/// A volume in 8 bits.
private struct Encoded {
    let window: GreyWindow
    let base64: String

    init(_ volume: Volume, window: GreyWindow, levels: Int) {
        self.window = window
        let step = 256 / levels
        let bytes = volume.voxels.map { voxel in
            let grey = Int(window.grey(voxel))
            // The ends of the scale stay what they are.
            return step == 1 ? UInt8(grey) : UInt8(min(255, (grey + step / 2) / step * step))
        }
        base64 = gzip(bytes).base64EncodedString()
    }
}

extension Volume {
    /// The means of blocks of voxels; an incomplete block at the end is left out.
    fileprivate func averaged(by factor: Int) -> Volume {
        guard factor > 1 else { return self }
        let smaller = SIMD3(
            max(1, shape.x / factor), max(1, shape.y / factor), max(1, shape.z / factor))
        let block = SIMD3(min(factor, shape.x), min(factor, shape.y), min(factor, shape.z))
        let columns = grid.affine.columns
        let first = grid.world(atVoxel: (SIMD3<Double>(block) - 1) / 2)
        var result = Volume(
            grid: VoxelGrid(
                shape: smaller,
                affine: Affine(
                    columns: columns.x * Double(block.x), columns.y * Double(block.y),
                    columns.z * Double(block.z), translation: first)))
        for z in 0..<smaller.z {
            for y in 0..<smaller.y {
                for x in 0..<smaller.x {
                    var sum: Float = 0
                    for k in 0..<block.z {
                        for j in 0..<block.y {
                            let row = grid.offset(x * block.x, y * block.y + j, z * block.z + k)
                            for i in 0..<block.x { sum += voxels[row + i] }
                        }
                    }
                    result[x, y, z] = sum / Float(block.x * block.y * block.z)
                }
            }
        }
        return result
    }
}

/// The volumes that a report shows, on one grid.
public struct ReportVolumes: Sendable {
    /// What was translated; `nil` if it is not known.
    public var source: Volume?
    /// The result.
    public var result: Volume
    /// The expected result; `nil` if there is none.
    public var reference: Volume?
    /// Above zero where the two are compared; `nil` for everywhere. The difference shows nothing outside.
    public var mask: Volume?

    /// Volumes for a report.
    ///
    /// - Precondition: all have the same shape, and lie at the same places.
    public init(source: Volume? = nil, result: Volume, reference: Volume? = nil, mask: Volume? = nil) {
        precondition(
            [source, reference, mask].allSatisfy { $0.map { $0.shape == result.shape } ?? true },
            "the volumes of a report must be on one grid")
        (self.source, self.result, self.reference, self.mask) = (source, result, reference, mask)
    }

    /// The volumes in the order shown, and the unit of each.
    fileprivate var all: [(name: String, volume: Volume, unit: String)] {
        [
            source.map { ("Source", $0, "source") }, ("Result", result, "target"),
            reference.map { ("Reference", $0, "target") },
            mask.map { ("Mask", $0.map { $0 > 0 ? 1 : 0 }, "mask") },
        ].compactMap(\.self)
    }
}
