import CPNG
import Foundation
import TestSupport
import Testing
import VolumeFigures
import Volumes

/// Pixels between views, and round the whole.
private let gap = 4

extension ColourImage {
    /// The red of each pixel: all of a grey image.
    fileprivate var grey: GreyImage {
        var image = GreyImage(width: width, height: height)
        for row in 0..<height {
            for column in 0..<width { image[column, row] = self[column, row].x }
        }
        return image
    }
}

@Suite struct MontageTests {
    /// Whole numbers of 0...255, shown as they are, on a grid with 1 mm voxels along the patient's axes.
    private let volume: Volume = {
        var generator = SeededGenerator(seed: 5)
        let grid = VoxelGrid(
            shape: [20, 24, 28], affine: Affine(spacing: .one, translation: [-10, -12, -14]))
        return Volume(grid: grid, voxels: generator.floats(grid.count, in: 0...255).map { $0.rounded() })
    }()
    private let point = SIMD3(-4.0, 3, 5)  // voxel (6, 15, 19)

    private func image(of volume: Volume, _ convention: Montage.Convention) throws -> GreyImage {
        try Montage(rows: [.init(volume, window: 0...255)], at: point, convention: convention).image().grey
    }

    @Test func viewsAreHungAsForAReader() throws {
        for convention in Montage.Convention.allCases {
            let image = try image(of: volume, convention)
            #expect(image.width == 20 + 20 + 24 + 4 * gap && image.height == 28 + 2 * gap)
            // The patient's right, where x grows, is on the image's left unless one looks from behind.
            func x(_ column: Int) -> Int { convention == .radiological ? 19 - column : column }
            for row in 9..<24 {
                for column in 0..<20 {
                    // The front is up. The view is 24 high in a row of 28, so 2 lie above it.
                    #expect(image[gap + column, gap + 2 + row] == UInt8(volume[x(column), 23 - row, 19]))
                }
            }
            for row in 9..<28 {
                for column in 0..<20 {
                    #expect(image[2 * gap + 20 + column, gap + row] == UInt8(volume[x(column), 15, 27 - row]))
                }
                for column in 0..<24 {
                    // The face is to the left.
                    #expect(
                        image[3 * gap + 40 + column, gap + row] == UInt8(volume[6, 23 - column, 27 - row]))
                }
            }
        }
    }

    @Test func marksThePatientsRight() throws {
        let black = Volume(grid: volume.grid)
        func litColumns(_ convention: Montage.Convention, from start: Int, width: Int) throws -> [Int] {
            let image = try image(of: black, convention)
            return (start..<start + width).filter { column in
                (0..<image.height).contains { image[column, $0] == 255 }
            }.map { $0 - start }
        }
        // Five columns of a letter, two from the edge.
        for start in [gap, 2 * gap + 20] {
            #expect(try litColumns(.radiological, from: start, width: 20) == [2, 3, 4, 5, 6])
            #expect(try litColumns(.neurological, from: start, width: 20) == [13, 14, 15, 16, 17])
        }
        #expect(try litColumns(.neurological, from: 3 * gap + 40, width: 24) == [2, 3, 4, 5, 6])
    }

    @Test func anyStorageOrderGivesTheSameImage() throws {
        let expected = try image(of: volume, .radiological)
        for code in ["LPS", "RPS", "PIR", "IAL", "SLA", "ASR", "LAS"] {
            let target = try #require(Orientation(code: code))
            let stored = volume.permuted(AxisPermutation(from: .ras, to: target))
            #expect(try image(of: stored, .radiological) == expected, "\(code)")
        }
    }

    @Test func pixelsAreSquareMillimetres() throws {
        let grid = VoxelGrid(shape: [40, 30, 10], spacing: [0.5, 1, 3])
        let row = Montage.Row(Volume(grid: grid))
        let fine = try Montage(rows: [row]).image().grey
        // At 0.5 mm: 40 wide (x), 60 deep (y), 60 high (z).
        #expect(fine.width == 40 + 40 + 60 + 4 * gap && fine.height == 60 + 2 * gap)
        let coarse = try Montage(rows: [row], pixelSize: 1).image().grey
        #expect(coarse.width == 20 + 20 + 30 + 4 * gap && coarse.height == 30 + 2 * gap)
    }

    @Test func thickSlicesAreInterpolated() throws {
        // From feet to head 0, 100, 200 every 4 mm: steps of 25 a millimetre, held beyond the outer centres.
        let grid = VoxelGrid(shape: [30, 30, 3], spacing: [1, 1, 4])
        var stairs = Volume(grid: grid)
        for index in stairs.voxels.indices { stairs.voxels[index] = Float(index / 900 * 100) }
        let image = try Montage(rows: [.init(stairs, window: 0...255)]).image().grey
        let top = gap + (30 - 12) / 2
        let column = (0..<12).map { image[2 * gap + 30 + 20, top + $0] }
        #expect(column == [200, 200, 188, 163, 138, 113, 88, 63, 38, 13, 0, 0])
    }

    @Test func rowsLieUnderOneAnotherInOneScale() throws {
        let other = Volume(grid: VoxelGrid(shape: [10, 12, 14], spacing: [2, 2, 2]), repeating: 1)
        let image = try Montage(
            rows: [.init(volume, window: 0...255), .init(other, label: "B", window: 0...2)], at: [3, 3, 5]
        ).image().grey
        let label = 7 + gap
        #expect(image.width == 20 + 20 + 24 + 4 * gap && image.height == 28 + 28 + label + 3 * gap)
        #expect(image[gap + 10, gap + 28 + gap + label + 2 + 15] == 128)
        let alone = try Montage(rows: [.init(volume, window: 0...255)], at: [3, 3, 5]).image().grey
        #expect(image.pixels.prefix(alone.pixels.count) == alone.pixels[...])
    }

    @Test func windowByDefaultLeavesOutTheBrightestFew() throws {
        // 1000 voxels of 0...999 and one that is far brighter, one that is far darker but no number.
        let grid = VoxelGrid(shape: [10, 10, 10])
        var voxels = (0..<1000).map(Float.init)
        voxels[999] = 1e9
        voxels[0] = .nan
        let volume = Volume(grid: grid, voxels: voxels)
        let fitted = try Montage(rows: [.init(volume)], at: [5, 5, 5]).image().grey
        let given = try Montage(rows: [.init(volume, window: 1...998)], at: [5, 5, 5]).image().grey
        #expect(fitted == given)
        let darkest = try Montage(rows: [.init(volume.map { -$0 })], at: [5, 5, 5]).image().grey
        let inverse = try Montage(rows: [.init(volume.map { -$0 }, window: -1e9...(-2))], at: [5, 5, 5]).image()
            .grey
        #expect(darkest == inverse)
    }

    @Test func drawsIntensitiesOfAnySize() throws {
        let grid = VoxelGrid(shape: [30, 30, 30])
        let most = Float.greatestFiniteMagnitude
        let values: [Float] = [most, -most, .nan, .infinity, -.infinity, 0]
        let volume = Volume(grid: grid, voxels: (0..<grid.count).map { values[$0 % 6] })
        let image = try Montage(rows: [.init(volume)], at: [15, 15, 15]).image().grey
        let row = gap + 29
        // Voxel (29 - column, 0, 15) of the axial view's last line.
        for column in 0..<30 {
            let expected: [UInt8] = [255, 0, 0, 255, 0, 128]
            #expect(image[gap + column, row] == expected[grid.offset(29 - column, 0, 15) % 6])
        }
        #expect(throws: Never.self) {
            try Montage(rows: [.init(volume)], at: [15, 15, 15], pixelSize: 0.3).image().grey
        }
    }

    @Test func showsTheForegroundsCentreByDefault() throws {
        var bright = Volume(grid: volume.grid)
        for z in 18...20 { for y in 14...16 { for x in 5...7 { bright[x, y, z] = 100 } } }
        #expect(
            try Montage(rows: [.init(bright)]).image().grey
                == Montage(rows: [.init(bright)], at: point).image().grey)
        // Without any foreground, the middle of the grid.
        #expect(throws: Never.self) { try Montage(rows: [.init(Volume(grid: volume.grid))]).image() }
    }

    @Test func saysWhatItCannotDraw() throws {
        #expect(throws: FigureError.noRows) { try Montage(rows: []).image() }
        let far = Volume(grid: VoxelGrid(shape: [4, 4, 4], spacing: [1, 1, 1]))
        #expect(throws: FigureError.pointOutside(row: 1, point: point)) {
            try Montage(rows: [.init(volume), .init(far)], at: point).image().grey
        }
        #expect(throws: FigureError.self) {
            try Montage(rows: [.init(volume)], at: [.nan, 0, 0]).image().grey
        }
        let tooLarge = #expect(throws: FigureError.self) {
            try Montage(rows: [.init(volume)], pixelSize: 1e-300).image().grey
        }
        #expect(tooLarge?.description.contains("larger pixels") == true)
    }
}

@Suite struct FontTests {
    private let characters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.,:-_+=/()%'?!#* "

    /// The pixels of a character in a label above a volume of one voxel.
    private func glyph(_ character: Character) throws -> [UInt8] {
        let voxel = Volume(grid: VoxelGrid(shape: [1, 1, 1]))
        let image = try Montage(rows: [.init(voxel, label: String(character))]).image().grey
        return (0..<7).flatMap { row in (0..<5).map { image[gap + $0, gap + row] } }
    }

    @Test func everyCharacterHasAShapeOfItsOwn() throws {
        var shapes = Set<[UInt8]>()
        for character in characters { shapes.insert(try glyph(character)) }
        #expect(shapes.count == characters.count)
        #expect(try !shapes.contains(glyph("\u{E9}")))
        #expect(try glyph("\u{E9}") == glyph("\u{3B2}"))
    }

    @Test func lettersAreDrawnUpright() throws {
        let rows = ["#    ", "#    ", "#    ", "#    ", "#    ", "#    ", "#####"]
        #expect(try glyph("L") == rows.joined().map { $0 == "#" ? 255 : 0 })
    }
}

@Suite struct PNGTests {
    @Test func fileHoldsThePixels() async {
        await checkLaw(cases: 20) { generator in
            let width = Int.random(in: 1...40, using: &generator)
            let height = Int.random(in: 1...40, using: &generator)
            var image = GreyImage(width: width, height: height)
            for row in 0..<height {
                for column in 0..<width { image[column, row] = UInt8.random(in: 0...255, using: &generator) }
            }
            try withTemporaryFolder { folder in
                let file = folder.appending(path: "figure.png")
                try Data("older".utf8).write(to: file)
                try image.write(to: file)
                try #require(try read(file) == image)
                try #require(try FileManager.default.contentsOfDirectory(atPath: folder.path).count == 1)
            }
        }
    }

    @Test func namesAFileThatCannotBeWritten() throws {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "none/figure.png")
            let error = #expect(throws: FigureError.self) { try GreyImage(width: 1, height: 1).write(to: file) }
            #expect(error?.description.contains(file.path) == true)
        }
    }

    /// The pixels of an 8-bit grey PNG.
    private func read(_ file: URL) throws -> GreyImage {
        var header = png_image()
        header.version = png_uint_32(PNG_IMAGE_VERSION)
        try #require(png_image_begin_read_from_file(&header, file.path) != 0)
        defer { png_image_free(&header) }
        try #require(header.format == png_uint_32(PNG_FORMAT_GRAY))
        var image = GreyImage(width: Int(header.width), height: Int(header.height))
        var pixels = [UInt8](repeating: 0, count: image.width * image.height)
        try #require(png_image_finish_read(&header, nil, &pixels, 0, nil) != 0)
        for row in 0..<image.height {
            for column in 0..<image.width { image[column, row] = pixels[row * image.width + column] }
        }
        return image
    }
}
