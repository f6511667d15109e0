import ArgumentParser
import Foundation
import Preprocessing
import VolumeIO

/// Times resampling of a volume to other grids.
struct ResampleCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resample", abstract: "Times resampling, optionally compared with TorchIO and SciPy.",
        discussion: "Always uses all cores, as many as --threads should say for a comparison.")

    @Argument(help: "The volume to resample.") var volume: String
    @Option(help: "Number of rounds of alternating measurements; the shortest counts.") var rounds = 2
    @Option(help: "A Python with TorchIO and SciPy, to compare with them.") var python: String?
    @Option(help: "Only the cases whose name contains this text.") var only = ""
    @OptionGroup var options: MeasuringOptions

    private var cases: [ResamplingCase] {
        ResamplingCase.all.filter { only.isEmpty || $0.title.contains(only) }
    }

    func run() async throws {
        let source = try Volume(contentsOf: volume)
        let oblique = Self.obliqueGrid(over: source.grid)
        var (best, peer): ([String: Double], [String: Double]) = ([:], [:])
        for _ in 0..<rounds {
            for job in cases {
                let seconds = try await shortest(of: options.repeats) {
                    _ = try job.run(source, oblique: oblique)
                }
                best[job.specification] = min(seconds, best[job.specification] ?? .infinity)
            }
            if let python { peer.merge(try peerTimes(python, oblique: oblique), uniquingKeysWith: min) }
        }
        let times = cases.map { job in
            ResamplingTime(
                what: job.title, seconds: best[job.specification]!, peer: peer[job.specification],
                peerName: job.interpolation == .cubic ? "SciPy" : "TorchIO")
        }
        try options.print(times) { times in
            markdown(
                ["\(source.grid), to", "ms", "peer's ms", "ratio", "peer"],
                times.map {
                    [
                        $0.what, text($0.seconds * 1e3), $0.peer.map { text($0 * 1e3) } ?? "",
                        $0.ratio.map { text($0) } ?? "", $0.peer == nil ? "" : $0.peerName,
                    ]
                })
        }
    }

    /// 1 mm, turned by 20 degrees about the head's long axis and by 10 about the ears', over the same centre.
    private static func obliqueGrid(over source: VoxelGrid) -> VoxelGrid {
        let (a, b) = (20 * Double.pi / 180, 10 * Double.pi / 180)
        let shape = SIMD3(208, 256, 256)
        var affine = Affine(
            columns: [cos(a), sin(a), 0], [-sin(a) * cos(b), cos(a) * cos(b), sin(b)],
            [sin(a) * sin(b), -cos(a) * sin(b), cos(b)])
        let centre = source.world(atVoxel: SIMD3<Double>(source.shape &- 1) / 2)
        affine.translation = centre - affine(SIMD3<Double>(shape &- 1) / 2)
        return VoxelGrid(shape: shape, affine: affine)
    }

    private func peerTimes(_ python: String, oblique: VoxelGrid) throws -> [String: Double] {
        let script = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../peer_resampling.py").standardizedFileURL.path
        let shape = [oblique.shape.x, oblique.shape.y, oblique.shape.z]
        let rows = oblique.affine.rows.map { row in (0..<4).map { row[$0] } }
        let data = try ChildProcess.run(
            python,
            [
                script, "--threads", "\(options.threads)", "--repeat", "\(options.repeats)", volume,
                "{\"shape\": \(shape), \"rows\": \(rows)}",
            ] + cases.map(\.specification))
        return try JSONDecoder().decode([String: Double].self, from: data)
    }
}

/// The time of a resampling, and the peer's.
private struct ResamplingTime: Codable {
    let what: String
    let seconds: Double
    let peer: Double?
    let peerName: String

    var ratio: Double? { peer.map { $0 / seconds } }
}

/// A new grid, and how its voxels are found.
private struct ResamplingCase {
    /// The new spacing in millimetres, or nil for the oblique grid.
    let spacing: Int?
    let interpolation: Interpolation
    var antialiasing = Antialiasing.none

    static let all = [
        ResamplingCase(spacing: 1, interpolation: .nearest), ResamplingCase(spacing: 1, interpolation: .linear),
        ResamplingCase(spacing: 1, interpolation: .cubic),
        ResamplingCase(spacing: 2, interpolation: .linear, antialiasing: .gaussian),
        ResamplingCase(spacing: 2, interpolation: .cubic),
        ResamplingCase(spacing: nil, interpolation: .nearest),
        ResamplingCase(spacing: nil, interpolation: .linear),
        ResamplingCase(spacing: nil, interpolation: .cubic),
    ]

    /// The case as the peer knows it.
    var specification: String {
        let order = interpolation == .nearest ? 0 : interpolation == .linear ? 1 : 3
        return (spacing.map { "\($0)" } ?? "oblique") + (antialiasing == .gaussian ? "a" : "") + ":\(order)"
    }

    var title: String {
        let smoothed = antialiasing == .gaussian ? ", anti-aliased" : ""
        return "\(spacing.map { "\($0) mm" } ?? "oblique, 1 mm"), \(interpolation)\(smoothed)"
    }

    func run(_ source: Volume, oblique: VoxelGrid) throws -> Volume {
        guard let spacing else {
            return source.resampled(onto: oblique, interpolation: interpolation, antialiasing: antialiasing)
        }
        return try Resample(
            spacing: Double(spacing), interpolation: interpolation, antialiasing: antialiasing
        ).apply(to: source).volume
    }
}
