import ArgumentParser
import Foundation
import VolumeIO
import VolumeRegistration
import VoxelSupport

/// Recovers known motions, and compares its errors and times with those of another program.
struct RegisterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "register",
        abstract: "Recovers known rigid motions of real volumes, optionally in turn with ANTs and elastix.",
        discussion: """
            Each start moves one of two aligned volumes by a random translation along, and rotation about, each axis. \
            The error is the mean distance, over the foreground of the fixed volume, between where a point lies and \
            where the files' headers say that it belongs; the spread is the same between a result and the one that is \
            nearest to all. With --python, a Python with antspyx and itk-elastix, they get the same files.
            """)

    @Option(help: "The folder of the volumes.") var data = "../shared/data"
    @Option(help: "Number of starts for each pair of volumes.") var starts = 10
    @Option(help: "Of these, number of starts for ANTs and elastix.") var peerStarts = 5
    @Option(help: "The largest translation along each axis, in millimetres.") var millimetres = 20.0
    @Option(help: "The largest rotation about each axis, in degrees.") var degrees = 20.0
    @Option(help: "Pairs to measure: flair, t2, ct.") var pairs = "flair,t2,ct"
    @Option(help: "Number of points at the finest resolution.") var samples = RigidRegistration().samples
    @Option(help: "Number of bins of the joint histogram.") var bins = RigidRegistration().bins
    @Option(help: "A Python with antspyx and itk-elastix.") var python: String?
    @Flag(help: "Print each start.") var each = false
    @OptionGroup var options: MeasuringOptions

    func run() async throws {
        var results: [Outcome] = []
        for pair in RegisteredPair.all where pairs.split(separator: ",").contains(Substring(pair.name)) {
            results += try await measure(pair)
        }
        try options.print(results) { outcomes in
            markdown(
                [
                    "", "starts", "error below 1 mm", "median, mm", "largest, mm", "spread below 1 mm",
                    "largest, mm", "time, s", "largest, s", "processor, s",
                ],
                outcomes.map { outcome in
                    let (errors, times) = (outcome.errors.sorted(), outcome.seconds.sorted())
                    let (processor, spreads) = (outcome.processorSeconds.sorted(), outcome.spreads.sorted())
                    return [
                        outcome.what, "\(errors.count)", "\(errors.count { $0 < 1 })",
                        text(errors[errors.count / 2]), text(errors.last!),
                        "\(spreads.count { $0 < 1 })", text(spreads.last!), text(times[times.count / 2]),
                        text(times.last!), text(processor[processor.count / 2]),
                    ]
                })
        }
    }

    private func measure(_ pair: RegisteredPair) async throws -> [Outcome] {
        let folder = URL(filePath: data, directoryHint: .isDirectory)
        let moving = try Volume(contentsOf: folder.appending(path: pair.moving))
        let fixed = try Volume(contentsOf: folder.appending(path: pair.fixed))
        let points = foreground(of: fixed)
        var registration = RigidRegistration()
        (registration.threads, registration.samples, registration.bins) = (options.threads, samples, bins)
        var own = Outcome(what: "\(pair.title), VoxelBridge", points: points)
        var generator = SplitMix64(seed: 113)
        var (misplaced, motions): ([Volume], [RigidTransform]) = ([], [])
        for start in 0..<starts {
            func random(_ largest: Double) -> SIMD3<Double> {
                .random(in: -largest...largest, using: &generator)
            }
            let centre = fixed.grid.world(atVoxel: (SIMD3<Double>(fixed.shape) - 1) / 2)
            let motion = RigidTransform(
                degrees: random(degrees), millimetres: random(millimetres), about: centre)
            let moved = moving.moved(by: motion)
            var found: RegistrationResult?
            let before = processorSeconds()
            let time = try await seconds { found = try await registration.align(moved, to: fixed) }
            own.add(found!.transform.after(motion), time, processorSeconds() - before)
            if each {
                print(pair.name, start, text(own.errors.last!), text(time), found!)
            }
            if start < peerStarts { (misplaced, motions) = (misplaced + [moved], motions + [motion]) }
        }
        guard let python else { return [own] }
        return try [own]
            + peers(pair, misplaced, motions, fixed: folder.appending(path: pair.fixed), points, python)
    }

    /// The errors and times of ANTs and elastix from the same starts. They read and write ITK's files.
    private func peers(
        _ pair: RegisteredPair, _ volumes: [Volume], _ motions: [RigidTransform], fixed: URL,
        _ points: [SIMD3<Double>], _ python: String
    ) throws -> [Outcome] {
        let folder = FileManager.default.temporaryDirectory.appending(path: "register-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (index, volume) in volumes.enumerated() {
            try volume.write(to: folder.appending(path: "\(index).nii"))
        }
        let script = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../peer_registration.py").standardizedFileURL.path
        return try ["ants", "elastix"].map { peer in
            var outcome = Outcome(what: "\(pair.title), \(peer)", points: points)
            let arguments = [script, peer, fixed.path, folder.path, "\(volumes.count)", "\(options.threads)"]
            let times = try JSONDecoder().decode([[Double]].self, from: ChildProcess.run(python, arguments))
            for (index, motion) in motions.enumerated() {
                let found = try RigidTransform(contentsOf: folder.appending(path: "\(index).tfm"))
                outcome.add(found.after(motion), times[index][0], times[index][1])
            }
            return outcome
        }
    }

    /// Every 499th voxel above a tenth of the largest intensity, in millimetres.
    private func foreground(of volume: Volume) -> [SIMD3<Double>] {
        let limit = volume.intensityRange.upperBound / 10
        let shape = volume.shape
        return stride(from: 0, to: volume.voxels.count, by: 499).filter { volume.voxels[$0] > limit }.map {
            offset in
            let (x, rest) = (offset % shape.x, offset / shape.x)
            return volume.grid.world(
                atVoxel: SIMD3(Double(x), Double(rest % shape.y), Double(rest / shape.y)))
        }
    }
}

/// Two volumes that are aligned.
private struct RegisteredPair {
    let name: String
    let title: String
    let moving: String
    let fixed: String

    static let all = [
        RegisteredPair(
            name: "flair", title: "T1 to FLAIR", moving: "subject113_t1.nii.gz",
            fixed: "subject113_flair.nii.gz"),
        RegisteredPair(
            name: "t2", title: "T1 to T2", moving: "subject113_t1.nii.gz", fixed: "subject113_t2.nii.gz"),
        RegisteredPair(
            name: "ct", title: "CT template to T1 average", moving: "ct_template_2mm.nii.gz",
            fixed: "avg152_t1_2mm.nii.gz"),
    ]
}

/// What a program found from each start, and how long it took.
private struct Outcome: Encodable {
    let what: String
    /// Where the result is measured, in millimetres.
    private let points: [SIMD3<Double>]
    /// The motions that are left: the identity if all were right.
    private var rests: [RigidTransform] = []
    private(set) var seconds: [Double] = []
    /// The sum over all threads.
    private(set) var processorSeconds: [Double] = []

    private enum CodingKeys: CodingKey { case what, errors, spreads, seconds, processorSeconds }

    init(what: String, points: [SIMD3<Double>]) { (self.what, self.points) = (what, points) }

    mutating func add(_ rest: RigidTransform, _ time: Double, _ processorTime: Double) {
        rests.append(rest)
        seconds.append(time)
        processorSeconds.append(processorTime)
    }

    /// The mean distances between where points are and where they belong, in millimetres.
    var errors: [Double] { rests.map { distance($0, .identity) } }

    /// The mean distances from the result whose median distance from all is the least.
    var spreads: [Double] {
        let distances = rests.map { rest in rests.map { distance(rest, $0) } }
        return distances.min { $0.sorted()[$0.count / 2] < $1.sorted()[$1.count / 2] } ?? []
    }

    private func distance(_ a: RigidTransform, _ b: RigidTransform) -> Double {
        points.reduce(0) { sum, point in
            let gap = a(point) - b(point)
            return sum + (gap * gap).sum().squareRoot()
        } / Double(points.count)
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(what, forKey: .what)
        try container.encode(errors, forKey: .errors)
        try container.encode(spreads, forKey: .spreads)
        try container.encode(seconds, forKey: .seconds)
        try container.encode(processorSeconds, forKey: .processorSeconds)
    }
}

/// The processor time that this process has used, in seconds. Unlike time, it hardly depends on what else runs.
private func processorSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
