import Foundation
import StyleKeys
import TestSupport
import Testing
import VolumeFigures
import Volumes

struct ColourTests {
    private let ball: Volume = {
        let grid = VoxelGrid(
            shape: [30, 32, 24], affine: Affine(spacing: [2, 2, 3], translation: [-29, -31, -34.5]))
        return Volume.brainPhantom(on: grid, radii: [22, 25, 28])
    }()

    @Test func differencesDivergeFromWhite() throws {
        var brighter = ball
        for index in brighter.voxels.indices where index % 2 == 0 { brighter.voxels[index] += 1000 }
        for index in brighter.voxels.indices where index % 2 == 1 { brighter.voxels[index] -= 1000 }
        let row = Montage.Row(difference: brighter, from: ball, extent: 10)
        #expect(row.window == -10...10 && row.scale == .diverging)
        let image = try Montage(rows: [row], at: [0, 0, 0], pixelSize: 2).image()
        let colours = Set((20..<30).flatMap { x in (20..<30).map { image[x, $0] } })
        #expect(colours == [[178, 24, 43], [33, 102, 172]])
        let none = try Montage(rows: [.init(difference: ball, from: ball)], at: [0, 0, 0], pixelSize: 2).image()
        #expect(none[20, 20].min() >= 240)
    }

    @Test func annotationsShowPositionAndScale() throws {
        let plain = try Montage(rows: [.init(ball)], at: [1, 1, 1.5], pixelSize: 2).image()
        let annotated = try Montage(rows: [.init(ball)], at: [1, 1, 1.5], pixelSize: 2, isAnnotated: true)
            .image()
        #expect(annotated.width > plain.width && annotated.height == plain.height)
        // The bar goes from white at the top to black, and the axial view's lower left holds text.
        let column = plain.width + 3
        #expect(annotated[column, 5].x > 220 && annotated[column, annotated.height - 6].x < 35)
        #expect((24..<38).contains { row in (4..<34).contains { annotated[$0, row] != plain[$0, row] } })
    }

    @Test func anObliqueHeadIsDrawnAsItLies() throws {
        // The same head on a straight grid and on one that is turned by 30 degrees about the axis from feet to head.
        let (c, s) = (3.0.squareRoot() / 2, 0.5)
        let turned = VoxelGrid(
            shape: [50, 50, 30],
            affine: Affine(
                columns: [2 * c, 2 * s, 0], [-2 * s, 2 * c, 0], [0, 0, 2], translation: [-17.9, -66.9, -29]))
        let straight = VoxelGrid(
            shape: [50, 50, 30], affine: Affine(spacing: [2, 2, 2], translation: [-49, -49, -29]))
        func head(on grid: VoxelGrid) -> Volume {
            var volume = Volume(grid: grid)
            for z in 0..<30 {
                for y in 0..<50 {
                    for x in 0..<50 {
                        let place = grid.world(atVoxel: [Double(x), Double(y), Double(z)]) / [30, 15, 20]
                        volume[x, y, z] = (place * place).sum() < 1 ? 100 : 0
                    }
                }
            }
            return volume
        }
        func width(_ volume: Volume) throws -> Int {
            let image = try Montage(rows: [.init(volume, window: 0...100)], at: [0, 0, 0], pixelSize: 1).image()
            // The axial view, in which the head is twice as wide as it is deep.
            let rows = (0..<image.height).map { row in
                (0..<200).count { $0 < image.width / 3 && image[$0, row].x > 128 }
            }
            return rows.max()!
        }
        #expect(abs(try width(head(on: straight)) - 60) <= 2)
        #expect(abs(try width(head(on: turned)) - 60) <= 3)
    }

    @Test func aLightboxSpreadsItsSlices() throws {
        let image = try Lightbox(ball, plane: .axial, slices: 6, columns: 3).image()
        // Slices of 30 x 32 voxels of 2 mm, two rows of three, and the bar.
        #expect(image.height == 2 * 32 + 3 * 4 && image.width > 3 * 30 + 4 * 4)
        #expect(try Lightbox(ball, plane: .sagittal, slices: 500).image().width > 100)
    }

    @Test func histogramsAreShares() throws {
        let plot = LinePlot.histogram(of: ["a": ball, "b": ball.map { $0 * 0.5 }])
        #expect(plot.curves.map(\.label) == ["a", "b"])
        for curve in plot.curves { #expect(abs(curve.points.reduce(0) { $0 + $1.y } - 1) < 1e-9) }
        let key = try StyleKey(of: ball, bins: 16)
        #expect(LinePlot.styleKeys(["key": key]).curves[0].points.map { Float($0.y) } == key.histogram)
    }

    @Test func aColourImageIsAPNG() throws {
        var image = ColourImage(width: 3, height: 2, colour: [1, 2, 3])
        image[1, 1] = [9, 8, 7]
        #expect(image[1, 1] == [9, 8, 7] && image[2, 1] == [1, 2, 3])
        #expect(try image.pngData().starts(with: [0x89, 0x50, 0x4e, 0x47]))
    }
}
