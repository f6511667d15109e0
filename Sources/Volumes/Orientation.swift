/// The anatomical directions of the three voxel axes, written as a code such as `RAS`.
///
/// Each letter names the direction in which an index increases: `RAS` stands for right, anterior (front) and superior
/// (head). This is the convention of NIfTI and of NiBabel's `aff2axcodes`.
public struct Orientation: Hashable, Sendable, CustomStringConvertible {
    /// The direction in which an index increases.
    public enum Direction: Character, Sendable, CaseIterable {
        case right = "R", left = "L"
        case anterior = "A", posterior = "P"
        case superior = "S", inferior = "I"

        /// The world axis of the direction: 0 right-left, 1 front-back, 2 head-feet.
        public var worldAxis: Int {
            switch self {
            case .right, .left: 0
            case .anterior, .posterior: 1
            case .superior, .inferior: 2
            }
        }

        /// Whether the world coordinate increases: true of right, anterior and superior.
        public var isPositive: Bool { self == .right || self == .anterior || self == .superior }

        init(worldAxis: Int, isPositive: Bool) {
            let pair: (positive: Direction, negative: Direction) =
                [(.right, .left), (.anterior, .posterior), (.superior, .inferior)][worldAxis]
            self = isPositive ? pair.positive : pair.negative
        }
    }

    /// The directions of the first, second and third voxel axis, each along another world axis.
    public let directions: [Direction]

    /// Right, anterior, superior: the orientation of prepared volumes.
    public static let ras = Orientation(code: "RAS")!

    /// The orientation written as three letters (`"LPS"`), or `nil` unless they name each world axis once.
    public init?(code: String) {
        let directions = code.uppercased().compactMap(Direction.init(rawValue:))
        guard directions.count == 3, code.count == 3, Set(directions.map(\.worldAxis)).count == 3 else {
            return nil
        }
        self.directions = directions
    }

    /// The orientation closest to an affine: of the six assignments of voxel axes to world axes, the one with the
    /// largest sum of cosines.
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

    /// The voxel axis (0, 1 or 2) along a world axis (0 right-left, 1 front-back, 2 head-feet).
    public func voxelAxis(onWorldAxis worldAxis: Int) -> Int {
        directions.firstIndex { $0.worldAxis == worldAxis }!
    }
}
