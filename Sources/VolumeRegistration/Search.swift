import Volumes
import VoxelSupport

/// The search for the best pose from coarse to fine.
struct Search {
    /// The coarsest first.
    let levels: [Similarity]
    let threads: Int
    /// The rotation of the starts about each axis, in degrees.
    let angle: Double
    let progress: (@Sendable (Double) -> Void)?

    /// Numbers of starts from which it climbs: of all at the coarsest resolution, and of different maxima at the others.
    private static let (climbs, survivors) = (8, 3)

    /// A maximum may be the right one if its information is this fraction of the best one's, or more.
    private static let closeness = 0.95

    /// - Parameter start: the map from the fixed volume's world to the moving volume's.
    /// - Throws: ``RegistrationError/insufficientOverlap(largest:minimum:)``; `CancellationError`.
    func run(from start: RigidTransform) throws -> RegistrationResult {
        let all = starts(around: start)
        let values = evaluate(all, at: levels[0])
        let usable = zip(all, values).map(Ascent.Point.init).filter { $0.value.similarity > 0 }
            .sorted { $0.value.similarity > $1.value.similarity }
        guard !usable.isEmpty else {
            throw RegistrationError.insufficientOverlap(
                largest: values.map(\.overlap).max()!, minimum: levels[0].minimumOverlap)
        }
        let initial = values[0].similarity > 0 ? evaluate([start], at: levels.last!)[0].similarity : nil
        var front =
            angle > 0 ? Array(usable.prefix(Self.climbs)) : [Ascent.Point(pose: start, value: values[0])]
        var coarseBest: Double?
        for (index, level) in levels.enumerated() {
            try TimeLimit.check()
            front = distinct(
                try climb(from: front.map(\.pose), at: level), by: 2 * level.samples.spacing, at: level)
            coarseBest = coarseBest ?? front[0].value.similarity
            // At the finest resolution only those that may still win.
            let least = index == levels.count - 2 ? 1 + Self.closeness * (front[0].value.similarity - 1) : 0
            front = Array(front.prefix(Self.survivors).filter { $0.value.similarity >= least })
            progress?(0.3 + 0.7 * Double(index + 1) / Double(levels.count))
        }
        let typical = usable[usable.count / 2].value.similarity
        return RegistrationResult(
            transform: front[0].pose.inverse, similarity: front[0].value.similarity,
            initialSimilarity: initial, overlap: front[0].value.overlap,
            warnings: warnings(front, start: start, coarseBest: coarseBest!, typical: typical))
    }

    /// The given start, and the same with the centres of mass on one another; each turned about each axis by minus the
    /// angle, 0 and the angle. The given start is the first.
    private func starts(around start: RigidTransform) -> [RigidTransform] {
        let (fixed, moving) = (levels[0].samples, levels[0].moving)
        let shift = moving.centreOfMass(bins: levels[0].bins) - start(fixed.centreOfMass)
        let centred = RigidTransform(millimetres: shift).after(start)
        var turns: [SIMD3<Double>] = []
        for x in [0, -1.0, 1] {
            for y in [0, -1.0, 1] {
                for z in [0, -1.0, 1] { turns.append(SIMD3(x, y, z) * angle) }
            }
        }
        return [(start, fixed.centre), (centred, fixed.centreOfMass)].flatMap { pose, centre in
            turns.map { RigidTransform(degrees: $0, about: pose(centre)).after(pose) }
        }
    }

    private func evaluate(_ poses: [RigidTransform], at level: Similarity) -> [Similarity.Value] {
        map(poses, at: level) { pose, workspace, threads in
            level.evaluate(pose, in: workspace, threads: threads)
        }
    }

    private func climb(from poses: [RigidTransform], at level: Similarity) throws -> [Ascent.Point] {
        let points = map(poses, at: level) { pose, workspace, threads in
            let ascent = Ascent(
                similarity: level, largestStep: 2 * level.samples.spacing,
                tolerance: 0.01 * level.samples.spacing, threads: threads)
            return try? ascent.climb(from: pose, in: workspace)
        }
        try TimeLimit.check()
        return points.compactMap { $0 }.sorted { $0.value.similarity > $1.value.similarity }
    }

    /// What `body` makes of each pose. Several poses share the threads; a single one has them all.
    private func map<Result: Sendable>(
        _ poses: [RigidTransform], at level: Similarity,
        _ body: @Sendable (RigidTransform, Similarity.Workspace, _ threads: Int) -> Result
    ) -> [Result] {
        // A workspace for each thread.
        let width = min(threads, poses.count)
        let results = concurrentMap(width, threads: width) { worker in
            let workspace = Similarity.Workspace(for: level)
            return stride(from: worker, to: poses.count, by: width).map { index in
                body(poses[index], workspace, poses.count == 1 ? threads : 1)
            }
        }
        return poses.indices.map { results[$0 % width][$0 / width] }
    }

    /// The points without those that are near a better one.
    private func distinct(_ points: [Ascent.Point], by distance: Double, at level: Similarity) -> [Ascent.Point]
    {
        points.reduce(into: []) { kept, point in
            if !kept.contains(where: { level.samples.distance($0.pose, point.pose) < distance }) {
                kept.append(point)
            }
        }
    }

    private func warnings(
        _ maxima: [Ascent.Point], start: RigidTransform, coarseBest: Double, typical: Double
    ) -> [RegistrationWarning] {
        var warnings: [RegistrationWarning] = []
        let best = maxima[0]
        if best.value.overlap < 0.5 { warnings.append(.lowOverlap(best.value.overlap)) }
        if best.value.similarity - 1 < 0.01 || coarseBest - 1 < 1.2 * (typical - 1) {
            warnings.append(.weakSimilarity(best: coarseBest, typical: typical))
        }
        if maxima.count > 1, maxima[1].value.similarity - 1 > Self.closeness * (best.value.similarity - 1) {
            let distance = levels[0].samples.distance(best.pose, maxima[1].pose)
            warnings.append(.ambiguous(distance: distance))
        }
        let (turn, searched) = (best.pose.after(start.inverse).angle, max(angle * 3.0.squareRoot(), 20))
        if turn > searched { warnings.append(.beyondSearchRange(degrees: turn, searched: searched)) }
        return warnings
    }
}

extension SamplePoints {
    /// The root mean square distance of the points in two poses, in millimetres, for small rotations.
    fileprivate func distance(_ a: RigidTransform, _ b: RigidTransform) -> Double {
        let shift = a(centre) - b(centre)
        let turn = a.after(b.inverse).angle * .pi / 180 * radius
        return ((shift * shift).sum() + turn * turn).squareRoot()
    }
}
