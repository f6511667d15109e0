/// What tells one run from another: a saved state can only go on in the run that it is from.
///
/// The denoiser, its conditioning and the corrector are not compared: they are the caller's own types.
struct SamplingRun: Codable, Equatable, Sendable {
    let shape: [Int]
    /// A checksum of the source's voxels.
    let source: UInt64
    let timesteps: [Int]
    let trainingTimesteps: Int
    let planes: [SlicePlane]
    let radii: [Int]
    let windowsShareSlices: Bool
    let background: Float
    let order: StepOrder
    let eta: Double
    let noise: NoiseField

    init<Denoiser>(sampler: SliceSampler<Denoiser>, source volume: Volume) {
        shape = [volume.shape.x, volume.shape.y, volume.shape.z]
        source = volume.voxels.reduce(0xCBF2_9CE4_8422_2325) { hash, voxel in
            (hash ^ UInt64(voxel.bitPattern)) &* 0x100_0000_01B3
        }
        timesteps = sampler.scheduler.timesteps
        trainingTimesteps = sampler.scheduler.trainingTimesteps
        planes = sampler.views.map(\.plane)
        radii = sampler.views.map(\.denoiser.radius)
        windowsShareSlices = sampler.aggregation != nil
        (background, order, eta, noise) = (sampler.background, sampler.order, sampler.eta, sampler.noise)
    }

    /// - Throws: ``SamplingStateError`` naming the first field that differs from another run's.
    func check(against other: SamplingRun) throws {
        func check<Value: Equatable>(_ field: String, _ path: KeyPath<SamplingRun, Value>) throws {
            guard self[keyPath: path] == other[keyPath: path] else {
                throw SamplingStateError.belongsToAnotherRun(
                    field: field, found: "\(self[keyPath: path])", expected: "\(other[keyPath: path])")
            }
        }
        try check("source's shape", \.shape)
        try check("source's checksum", \.source)
        try check("list of timesteps", \.timesteps)
        try check("number of training timesteps", \.trainingTimesteps)
        try check("list of planes", \.planes)
        try check("list of window radii", \.radii)
        try check("sharing of slices between windows", \.windowsShareSlices)
        try check("background", \.background)
        try check("order of steps", \.order)
        try check("eta", \.eta)
        try check("noise", \.noise)
    }
}
