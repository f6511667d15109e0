/// What tells one run from another: a saved state can only go on in the run that it is from.
///
/// What the denoiser predicts, its conditioning and the corrector are not compared: they are the caller's own.
struct SamplingRun: Codable, Equatable, Sendable {
    let shape: [Int]
    /// The rows of the source's affine, which says how its slices lie.
    let affine: [[Double]]
    /// A checksum of the source's voxels.
    let source: UInt64
    let timesteps: [Int]
    let trainingTimesteps: Int
    /// A checksum of the process's coefficients at the timesteps visited.
    let coefficients: UInt64
    let stepRule: StepRule
    let start: SamplingStart
    let planes: [SlicePlane]
    let radii: [Int]
    let parameterizations: [Parameterization]
    /// The weights of positions in each plane's windows, or `nil` for independent windows.
    let aggregation: [[Float]]?
    let background: Float
    let order: StepOrder
    let eta: Double
    let noise: NoiseField

    init<Denoiser>(sampler: SliceSampler<Denoiser>, source volume: Volume) {
        let (scheduler, views) = (sampler.scheduler, sampler.views)
        shape = [volume.shape.x, volume.shape.y, volume.shape.z]
        affine = volume.grid.affine.rows.map { row in (0..<4).map { row[$0] } }
        source = checksum(of: volume.voxels.lazy.map { UInt64($0.bitPattern) })
        (timesteps, trainingTimesteps) = (scheduler.timesteps, scheduler.trainingTimesteps)
        coefficients = checksum(
            of: scheduler.timesteps.lazy.flatMap { t -> [UInt64] in
                let path = scheduler.coefficients(at: t)
                return [path.target.bitPattern, path.source.bitPattern, path.variance.bitPattern]
            })
        (stepRule, start) = (scheduler.stepRule, scheduler.start)
        planes = views.map(\.plane)
        radii = views.map(\.denoiser.radius)
        parameterizations = views.map(\.denoiser.parameterization)
        aggregation = sampler.aggregation.map { aggregation in
            views.map { aggregation.weights(radius: $0.denoiser.radius) }
        }
        (background, order, eta, noise) = (sampler.background, sampler.order, sampler.eta, sampler.noise)
    }

    var windowsShareSlices: Bool { aggregation != nil }

    /// - Throws: ``SamplingStateError`` naming the first field that differs from another run's.
    func check(against other: SamplingRun) throws {
        func check<Value: Equatable>(_ field: String, _ path: KeyPath<SamplingRun, Value>) throws {
            guard self[keyPath: path] == other[keyPath: path] else {
                throw SamplingStateError.belongsToAnotherRun(
                    field: field, found: "\(self[keyPath: path])", expected: "\(other[keyPath: path])")
            }
        }
        try check("source's shape", \.shape)
        try check("source's affine", \.affine)
        try check("source's checksum", \.source)
        try check("list of timesteps", \.timesteps)
        try check("number of training timesteps", \.trainingTimesteps)
        try check("checksum of the process's coefficients", \.coefficients)
        try check("step rule", \.stepRule)
        try check("start", \.start)
        try check("list of planes", \.planes)
        try check("list of window radii", \.radii)
        try check("list of parameterizations", \.parameterizations)
        try check("aggregation", \.aggregation)
        try check("background", \.background)
        try check("order of steps", \.order)
        try check("eta", \.eta)
        try check("noise", \.noise)
    }
}

/// The checksum of Fowler, Noll and Vo (FNV-1a), word by word.
private func checksum(of words: some Sequence<UInt64>) -> UInt64 {
    words.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ $1) &* 0x100_0000_01B3 }
}
