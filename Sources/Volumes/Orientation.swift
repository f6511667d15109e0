/// Which way the three voxel axes of a volume run through the patient, written as a code such as `RAS`.
///
/// Each letter names the side *towards* which an index grows: `RAS` grows to the right, to the front
/// (anterior) and to the head (superior). This is the convention of NIfTI and of NiBabel's `aff2axcodes`.
public struct Orientation: Hashable, Sendable, CustomStringConvertible {
    /// The side of the patient towards which an axis grows.
    public enum Direction: Character, Sendable, CaseIterable {
        case right = "R", left = "L"
        case anterior = "A", posterior = "P"
        case superior = "S", inferior = "I"

        /// The world axis that this direction lies on: 0 for right-left, 1 for front-back, 2 for head-feet.
        public var worldAxis: Int {
            switch self {
            case .right, .left: 0
            case .anterior, .posterior: 1
            case .superior, .inferior: 2
            }
        }

        /// Whether the world coordinate grows in this direction: true of right, anterior and superior.
        public var isPositive: Bool { self == .right || self == .anterior || self == .superior }

        init(worldAxis: Int, isPositive: Bool) {
            let pair: (positive: Direction, negative: Direction) =
                [(.right, .left), (.anterior, .posterior), (.superior, .inferior)][worldAxis]
            self = isPositive ? pair.positive : pair.negative
        }
    }

    /// The directions of the first, second and third voxel axis, one on each world axis.
    public let directions: [Direction]

    /// Right, anterior, superior: the orientation in which this package prepares volumes.
    public static let ras = Orientation(code: "RAS")!

    /// The orientation written as three letters (`"LPS"`), or `nil` unless they name each world axis once.
    public init?(code: String) {
        let directions = code.uppercased().compactMap(Direction.init(rawValue:))
        guard directions.count == 3, code.count == 3, Set(directions.map(\.worldAxis)).count == 3 else {
            return nil
        }
        self.directions = directions
    }

    /// The orientation nearest to an affine: each voxel axis goes to a world axis of its own, so that the
    /// cosines between them add up to the most.
    public init(nearestTo affine: Affine) {
        let unit = [affine.columns.x, affine.columns.y, affine.columns.z].map { $0 / max($0.length, 1e-300) }
        let assignments = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
        func agreement(_ worldAxes: [Int]) -> Double {
            (0..<3).reduce(0) { $0 + abs(unit[$1][worldAxes[$1]]) }
        }
        let best = assignments.max { agreement($0) < agreement($1) }!
        directions = (0..<3).map { Direction(worldAxis: best[$0], isPositive: unit[$0][best[$0]] >= 0) }
    }

    /// The three letters, for example `RAS`.
    public var description: String { String(directions.map(\.rawValue)) }

    /// The voxel axis (0, 1 or 2) that lies on a world axis (0 right-left, 1 front-back, 2 head-feet).
    public func voxelAxis(onWorldAxis worldAxis: Int) -> Int {
        directions.firstIndex { $0.worldAxis == worldAxis }!
    }
}
