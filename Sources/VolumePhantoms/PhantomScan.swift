import Foundation
import Volumes

/// The images of one subject: tissues become intensities, with the artefacts of a scanner.
struct PhantomScan {
    /// The brain mask: 1 inside and 0 outside.
    let mask: Volume

    private let tissues: [TissueMix]
    private let acquisition: PhantomAcquisition
    private let style: PhantomStyle
    private let random: SubjectRandom

    /// Images the tissues of a grid's voxels.
    init(
        _ tissues: [TissueMix], on grid: VoxelGrid, style: PhantomStyle, acquisition: PhantomAcquisition,
        random: SubjectRandom
    ) {
        mask = Volume(grid: grid, voxels: tissues.map { $0.brain >= 0.5 ? 1 : 0 })
        (self.tissues, self.style, self.acquisition, self.random) = (tissues, style, acquisition, random)
    }

    /// An image in a contrast.
    func image(_ contrast: PhantomContrast, source: PhantomSource) -> Volume {
        switch contrast {
        case .ct: computedTomography(source)
        case .t1:
            magnitude(
                t1Weighting,
                artefacts: Artefacts(
                    gain: style.gain, bias: style.bias, sliceGain: style.sliceGain, noise: style.noise),
                random)
        case .t2: spinEcho(acquisition.t2, contrast)
        case .flair: spinEcho(acquisition.flair, contrast)
        case .pd: spinEcho(acquisition.protonDensity, contrast)
        }
    }

    private func volume(_ levels: TissueLevels) -> Volume {
        Volume(grid: mask.grid, voxels: tissues.map { $0.level(levels) })
            .averagedOverSlices(style.sliceThickness)
    }

    // MARK: CT

    /// The CT in one of its forms, in HU.
    private func computedTomography(_ form: PhantomSource) -> Volume {
        let noise = Float(style.sourceNoise)
        var noisy = volume(
            Tissue.levels(
                air: -1000, fat: -90, muscle: 52, bone: Float(style.boneNumber),
                marrow: Float(style.boneNumber * 0.35), fluid: 5, grey: 37, white: 28, lesion: 22))
        noisy.addNoise { index in noise * random.normals(.sourceNoise, index) }
        switch form {
        case .head: return noisy.map { min(max($0, -1024), 3071) }
        case .window: return noisy.map { min(max($0, 0), 80) }
        case .brain:
            return Volume(
                grid: noisy.grid,
                voxels: zip(noisy.voxels, mask.voxels).map { $1 > 0 ? min(max($0, 0), 80) : 0 })
        }
    }

    // MARK: MRI

    /// T1 signals of the tissues. That of white matter is the gain of the style.
    private var t1Weighting: TissueLevels {
        func signal(_ level: Double) -> Float { Float(style.gain * pow(level, style.contrastExponent)) }
        return Tissue.levels(
            air: 0, fat: signal(1.1), muscle: signal(0.5), bone: signal(0.05), marrow: signal(0.8),
            fluid: signal(style.fluidLevel), grey: signal(style.greyLevel), white: signal(1),
            // Lesions are a little brighter than grey matter.
            lesion: signal(0.2 + 0.8 * style.greyLevel))
    }

    /// An image of a sequence, from the relaxation of the tissues.
    private func spinEcho(_ sequence: PhantomSequence, _ contrast: PhantomContrast) -> Volume {
        let relaxation = RelaxationTable(random, variation: acquisition.relaxationVariation)
        var random = random
        random.contrast = contrast
        let repetition = random.uniform(.acquisition, 0, in: sequence.repetitionTime)
        let echo = random.uniform(.acquisition, 1, in: sequence.echoTime)
        let inversion = sequence.inversion.map {
            relaxation.fluid.null(repetition: repetition) * random.uniform(.acquisition, 2, in: $0)
        }
        let artefacts = Artefacts(
            gain: random.uniform(.style, 3, in: acquisition.gain),
            bias: random.uniform(.style, 4, in: sequence.bias),
            sliceGain: random.uniform(.style, 5, in: sequence.sliceGain),
            noise: random.uniform(.style, 6, in: sequence.noise))
        let levels = relaxation.levels(
            repetition: repetition, echo: echo, inversion: inversion, gain: artefacts.gain)
        return magnitude(levels, artefacts: artefacts, random)
    }

    /// What a scanner does to one image, as in ``PhantomStyle``.
    private struct Artefacts {
        let gain, bias, sliceGain, noise: Double
    }

    /// A magnitude image, 0 outside the mask.
    private func magnitude(_ levels: TissueLevels, artefacts: Artefacts, _ random: SubjectRandom) -> Volume {
        let bias = BiasField(random, strength: artefacts.bias)
        let deviation = Float(artefacts.gain * artefacts.noise)
        var image = volume(levels)
        let (grid, shape) = (image.grid, image.shape)
        image.voxels.withUnsafeMutableBufferPointer { voxels in
            for z in 0..<shape.z {
                let gain = Float(1 + artefacts.sliceGain * random.normal(.sliceGain, z))
                for y in 0..<shape.y {
                    for x in 0..<shape.x {
                        let index = grid.offset(x, y, z)
                        guard mask.voxels[index] > 0 else {
                            voxels[index] = 0
                            continue
                        }
                        let place = grid.world(atVoxel: SIMD3(Double(x), Double(y), Double(z)))
                        let noise = deviation * random.normals(.targetNoise, index)
                        // The magnitude of a complex signal: Rician.
                        let real = max(gain, 0) * bias(at: SIMD3<Float>(place)) * voxels[index] + noise[0]
                        voxels[index] = (real * real + noise[1] * noise[1]).squareRoot()
                    }
                }
            }
        }
        return image
    }
}

/// A smooth factor around one: the inhomogeneous sensitivity of a receive coil.
private struct BiasField {
    private let waves: [(frequency: SIMD3<Float>, phase: Float)]
    private let strength: Float

    init(_ random: SubjectRandom, strength: Double) {
        // Up to half a wave over 180 mm along each axis.
        waves = (0..<3).map {
            (
                SIMD3<Float>(random.point(.bias, $0, in: -0.0175...0.0175)),
                Float(random.uniform(.bias, 100 + $0, in: 0...2 * .pi))
            )
        }
        self.strength = Float(strength)
    }

    func callAsFunction(at place: SIMD3<Float>) -> Float {
        var sum: Float = 0
        for wave in waves { sum += cos((wave.frequency * place).sum() + wave.phase) }
        return exp(strength * sum / 3)
    }
}

extension Volume {
    /// Adds noise, given for four voxels at a time.
    fileprivate mutating func addNoise(_ noise: (Int) -> SIMD4<Float>) {
        voxels.withUnsafeMutableBufferPointer { voxels in
            for first in stride(from: 0, to: voxels.count, by: 4) {
                let values = noise(first / 4)
                for i in 0..<min(4, voxels.count - first) { voxels[first + i] += values[i] }
            }
        }
    }

    /// Each axial slice averaged over a thickness from 1 to 3 slice distances. The first and last slices are repeated.
    fileprivate func averagedOverSlices(_ thickness: Double) -> Volume {
        guard thickness > 1 else { return self }
        let side = Float((thickness - 1) / 2 / thickness)
        let (slice, count) = (shape.x * shape.y, shape.z)
        var averaged = self
        averaged.voxels.withUnsafeMutableBufferPointer { new in
            for z in 0..<count {
                let (here, below, above) = (z * slice, max(z - 1, 0) * slice, min(z + 1, count - 1) * slice)
                for i in 0..<slice {
                    new[here + i] =
                        (1 - 2 * side) * voxels[here + i] + side * (voxels[below + i] + voxels[above + i])
                }
            }
        }
        return averaged
    }
}
