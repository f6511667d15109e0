import Foundation
import VoxelBridge

/// The artefacts of a method that processes axial slices independently: the contrast of another scanner, and a
/// different level in every slice.
struct SliceWiseMethod {
    /// The exponent of the contrast curve; below 1 it brightens dark voxels.
    var gamma: Float = 0.6

    /// The maximum deviation of a slice's level from 1.
    var flicker: Float = 0.08

    var seed: UInt64 = 27

    /// Degrades a volume in [0, 1].
    func callAsFunction(_ volume: Volume) -> Volume {
        var generator = SplitMix64(state: seed)
        // Make the axial slices' axis the last one.
        let axial = SlicePlane.axial.permutation(for: volume.grid)
        var stack = volume.permuted(axial)
        let length = stack.shape.x * stack.shape.y
        for z in 0..<stack.shape.z {
            let gain = Float.random(in: 1 - flicker...1 + flicker, using: &generator)
            for voxel in z * length..<(z + 1) * length {
                stack.voxels[voxel] = gain * pow(stack.voxels[voxel], gamma)
            }
        }
        return stack.permuted(axial.inverse)
    }
}

/// Random numbers that are the same on every run and machine.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
