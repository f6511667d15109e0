import Preprocessing
import Testing
import Volumes

struct ForegroundMaskTests {
    /// A bright shell around a dark hole, on a dark background.
    private var shell: Volume {
        var volume = Volume(grid: VoxelGrid(shape: [9, 9, 9]))
        for z in 2...6 {
            for y in 2...6 {
                for x in 2...6 {
                    volume[x, y, z] = (3...5).contains(x) && (3...5).contains(y) && (3...5).contains(z) ? 0 : 1
                }
            }
        }
        return volume
    }

    @Test func holesBelongToTheForeground() {
        let mask = ForegroundMask(of: shell)
        #expect(mask.isForeground.filter { $0 }.count == 125)
    }

    @Test func anOpenHoleIsBackground() {
        var opened = shell
        for x in 0...3 { opened[x, 4, 4] = 0 }
        #expect(ForegroundMask(of: opened).isForeground.filter { $0 }.count == 125 - 27 - 1)
    }

    @Test func clearingTouchesTheBackgroundAlone() {
        let other = Volume(grid: shell.grid, repeating: 0.5)
        let cleared = ForegroundMask(of: shell).clearingBackground(of: other)
        #expect(cleared[4, 4, 4] == 0.5)
        #expect(cleared[0, 0, 0] == 0)
        #expect(cleared.voxels.filter { $0 != 0 }.count == 125)
    }
}
