import Foundation
import TestSupport
import Testing

@testable import VolumeFigures

/// Plots of curves, and tables of images.
struct PlotTests {
    @Test func axesHoldTheirValuesBetweenRoundMarks() async {
        await checkLaw { generator in
            let isLogarithmic = Bool.random(using: &generator)
            let scale = pow(10, Double.random(in: -6...6, using: &generator))
            let values = (0..<generator.size(in: 0...20)).map { _ in
                isLogarithmic
                    ? scale * pow(10, Double.random(in: 0...6, using: &generator))
                    : scale * Double.random(in: -1...1, using: &generator)
            }
            let axis = PlotAxis(
                values, isLogarithmic: isLogarithmic && !values.isEmpty, from: 400, through: 100)
            try #require((2...12).contains(axis.ticks.count), "\(axis.ticks)")
            try #require(zip(axis.ticks, axis.ticks.dropFirst()).allSatisfy(<))
            for value in values {
                try #require((100...400).contains(axis.pixel(value)), "\(value) \(axis.ticks)")
            }
            try #require(axis.pixel(axis.ticks[0]) == 400 && axis.pixel(axis.ticks.last!) == 100)
            for tick in axis.ticks {
                let digits = axis.text(of: tick)
                try #require(digits.count <= 8, "\(digits)")
                try #require(abs((Double(digits) ?? .nan) - tick) <= 1e-3 * max(abs(tick), 1e-12), "\(digits)")
            }
        }
    }

    @Test func aCurveIsDrawnThroughItsPoints() {
        let points = [SIMD2(0.0, 1.0), [50, 3], [100, 2]]
        let plot = LinePlot(title: "loss", horizontal: "step", curves: [.init(label: "a", points: points)])
        let image = plot.image()
        let x = PlotAxis(points.map(\.x), isLogarithmic: false, from: 110, through: 930)
        let y = PlotAxis(points.map(\.y), isLogarithmic: false, from: 470, through: 50)
        for point in points { #expect(image[x.pixel(point.x), y.pixel(point.y)] == 0) }
        #expect(image[x.pixel(25), y.pixel(2)] == 0)
        #expect(image[x.pixel(25), y.pixel(1.3)] == 255)
    }

    @Test(arguments: [
        [], [SIMD2(1.0, 0.0)], [[1, .nan]], [[1, 5], [2, 5]], [[0, 1e-30], [1, 1e30]],
        [[0, -1e300], [1, 1e300]],
    ])
    func anyPointsCanBeDrawn(points: [SIMD2<Double>]) {
        let plot = LinePlot(title: "", horizontal: "", curves: [.init(label: "", points: points)])
        #expect(plot.image().width == 960)
    }

    @Test func aTableHoldsItsImages() {
        let images = (0..<4).map { GreyImage(width: 100, height: 50, grey: UInt8(40 * $0 + 20)) }
        let table = ImageTable(
            columns: ["one", "two"], rows: [[images[0], images[1]], [images[2], images[3]]])
        let drawn = table.image()
        for grey in [20, 60, 100, 140] {
            #expect(drawn.pixels.count { $0 == UInt8(grey) } == 5000)
        }
        #expect(drawn.pixels.contains(255))
        let small = ImageTable(columns: ["one"], rows: [[GreyImage(width: 10, height: 10, grey: 9)]]).image()
        #expect(small.pixels.count { $0 == 9 } == 100 * 100)
    }
}

struct FigureDescriptionTests {
    @Test func imagesAndCurvesAreDescribedBySize() {
        let image = GreyImage(width: 960, height: 540)
        #expect("\(image)" == "960 x 540 pixels")
        var dumped = ""
        dump(ImageTable(columns: ["a"], rows: [[image]]), to: &dumped)
        #expect(dumped.count < 500, "\(dumped)")
        #expect("\(LinePlot.Curve(label: "loss", points: [[0, 1], [1, .nan]]))" == "loss: 1 points")
        let error: any Error = FigureError.noRows
        #expect(error.localizedDescription == "\(error)")
    }
}
