import Foundation
import Volumes

extension Volume {
    /// A picture of a skull-stripped brain: fluid in the middle, white matter around it, grey matter outside,
    /// and background at zero. Within a tissue the intensity varies a little and smoothly.
    ///
    /// It fills an ellipsoid about the middle of the grid, whose outline and tissues are the same in the world
    /// whatever the grid. No two of its axes are alike, and its left is brighter than its right, so that turned
    /// axes show.
    ///
    /// - Parameters:
    ///   - radii: of the ellipsoid, in millimetres along the world's axes.
    ///   - fluid, white, grey: intensities of the tissues, all above zero.
    public static func brainPhantom(
        on grid: VoxelGrid, radii: SIMD3<Double> = [26, 32, 22], fluid: Double = 30, white: Double = 100,
        grey: Double = 70
    ) -> Volume {
        let middle = grid.world(atVoxel: (SIMD3<Double>(grid.shape) - 1) / 2)
        var phantom = Volume(grid: grid)
        for z in 0..<grid.shape.z {
            for y in 0..<grid.shape.y {
                for x in 0..<grid.shape.x {
                    let place = (grid.world(atVoxel: [Double(x), Double(y), Double(z)]) - middle) / radii
                    let radius = (place * place).sum().squareRoot()
                    guard radius < 1 else { continue }
                    let fold = 0.08 * sin(9 * place.x) * cos(7 * place.y + 2 * place.z)
                    let tissue = radius < 0.25 ? fluid : radius + fold < 0.75 ? white : grey
                    phantom[x, y, z] = Float(tissue * (1 - 0.1 * place.x + 0.06 * place.y + 0.04 * place.z))
                }
            }
        }
        return phantom
    }
}
