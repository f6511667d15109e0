import VoxelSupport

/// The ascent from a pose to the nearest maximum of a similarity by BFGS with steps of limited length.
///
/// Poses map the fixed volume's world to the moving volume's. A step is a translation in millimetres and a rotation about
/// the image of the points' centre in radians times their radius: a step's length is about the motion of the points in millimetres. The
/// matrix B of second derivatives is updated by the rule of Broyden, Fletcher, Goldfarb and Shanno (Nocedal and Wright,
/// *Numerical Optimization*, 2006, equation 6.19), and B s = g is solved by Cholesky's factors.
struct Ascent {
    let similarity: Similarity
    /// The largest step and the step at which it ends, in millimetres.
    let (largestStep, tolerance): (Double, Double)
    let threads: Int

    /// A pose and its similarity.
    struct Point: Sendable {
        let pose: RigidTransform
        let value: Similarity.Value
    }

    private static let parameters = 6
    private static let iterations = 60

    /// - Throws: `CancellationError`.
    func climb(from pose: RigidTransform, in workspace: Similarity.Workspace) throws -> Point {
        var point = Point(pose: pose, value: similarity.evaluate(pose, in: workspace, threads: threads))
        guard point.value.similarity > 0 else { return point }
        var gradient = similarity.gradient(at: point.pose, in: workspace, threads: threads)
        var curvature: [Double]?
        for _ in 0..<Self.iterations {
            try TimeLimit.check()
            let size = length(gradient)
            guard size > 0 else { break }
            // Until a step is known, the direction of the gradient and a quarter of the largest step.
            var step =
                curvature.flatMap { solve($0, gradient) } ?? gradient.map { $0 / size * largestStep / 4 }
            let scale = min(1, largestStep / length(step))
            step = step.map { $0 * scale }
            guard let next = advance(from: point, by: step, gradient: gradient, in: workspace) else {
                // B may be the reason: once more without it.
                guard curvature != nil else { break }
                curvature = nil
                continue
            }
            let slope = similarity.gradient(at: next.point.pose, in: workspace, threads: threads)
            // Of the negative similarity, whose second derivatives are positive at a maximum.
            curvature = Self.updated(curvature, step: next.step, change: zip(gradient, slope).map { $0 - $1 })
            (point, gradient) = (next.point, slope)
            if length(next.step) < tolerance { break }
        }
        return point
    }

    /// The first of step, step / 2, step / 4, ... that raises the similarity by a part of what the gradient promises.
    private func advance(
        from point: Point, by step: [Double], gradient: [Double], in workspace: Similarity.Workspace
    ) -> (point: Point, step: [Double])? {
        var step = step
        while length(step) > tolerance / 4 {
            let pose = moved(point.pose, by: step)
            let value = similarity.evaluate(pose, in: workspace, threads: threads)
            if value.similarity > point.value.similarity + 1e-4 * dot(step, gradient) {
                return (Point(pose: pose, value: value), step)
            }
            step = step.map { $0 / 2 }
        }
        return nil
    }

    private func moved(_ pose: RigidTransform, by step: [Double]) -> RigidTransform {
        let turn = SIMD3(step[3], step[4], step[5]) / similarity.samples.radius
        let motion = RigidTransform(
            radians: turn, millimetres: SIMD3(step[0], step[1], step[2]),
            about: pose(similarity.samples.centre))
        return motion.after(pose)
    }

    /// B after a step s that changed the gradient by y; the same if y does not rise along s.
    private static func updated(_ matrix: [Double]?, step s: [Double], change y: [Double]) -> [Double]? {
        let rise = dot(s, y)
        guard rise > 1e-10 * length(s) * length(y) else { return matrix }
        var b =
            matrix
            ?? {
                var diagonal = [Double](repeating: 0, count: parameters * parameters)
                for k in 0..<parameters { diagonal[k * parameters + k] = dot(y, y) / rise }
                return diagonal
            }()
        let product = (0..<parameters).map { row in dot(Array(b[row * parameters..<(row + 1) * parameters]), s)
        }
        let bend = dot(s, product)
        for row in 0..<parameters {
            for column in 0..<parameters {
                b[row * parameters + column] +=
                    y[row] * y[column] / rise - product[row] * product[column] / bend
            }
        }
        return b
    }
}

private func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

private func length(_ a: [Double]) -> Double { dot(a, a).squareRoot() }
