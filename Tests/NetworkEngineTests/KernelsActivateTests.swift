import CVoxelKernels
import Foundation
import TestSupport
import Testing

@testable import NetworkEngine

/// Scaling, SiLU, GELU and resampling are those of double precision, over all numbers that there are.
struct KernelsActivateTests {
    private static func silu(_ x: Double) -> Double { x / (1 + exp(-x)) }
    private static func gelu(_ x: Double) -> Double { 0.5 * x * erfc(-x * 0.5.squareRoot()) }

    @Test(arguments: [VOXEL_SAME_SIZE.rawValue, VOXEL_HALF_SIZE.rawValue, VOXEL_DOUBLE_SIZE.rawValue])
    func everyWayOfActivating(resampling: UInt32) async {
        let resampling = voxel_resampling(rawValue: resampling)
        await checkKernels(cases: 40) { kernels, generator in
            var pixels = generator.size(in: 1...20)
            if resampling == VOXEL_DOUBLE_SIZE { pixels *= 2 }
            let length =
                resampling == VOXEL_HALF_SIZE
                ? 2 * pixels : resampling == VOXEL_DOUBLE_SIZE ? pixels / 2 : pixels
            let rows = (0..<2).map { _ in Numbers(generator.floats(length * Block.lanes, in: -9...9)) }
            let (scale, shift) = (
                Numbers(generator.floats(Block.lanes, in: -2...2)),
                Numbers(generator.floats(Block.lanes, in: -2...2))
            )
            let (scales, bends) = (Bool.random(using: &generator), Bool.random(using: &generator))
            let result = Numbers(unwritten: pixels * Block.lanes)
            kernels.activate(
                rows[0].start, rows[1].start, pixels, scales ? scale.start : nil, scales ? shift.start : nil,
                bends, resampling, result.start)

            let activated = { (row: Int, pixel: Int, lane: Int) in
                let x = Double(rows[row][pixel * Block.lanes + lane])
                let y = scales ? x * Double(scale[lane]) + Double(shift[lane]) : x
                return bends ? Self.silu(y) : y
            }
            let expected = (0..<pixels * Block.lanes).map { place -> Double in
                let (pixel, lane) = (place / Block.lanes, place % Block.lanes)
                return switch resampling {
                case VOXEL_HALF_SIZE:
                    (activated(0, 2 * pixel, lane) + activated(0, 2 * pixel + 1, lane)
                        + activated(1, 2 * pixel, lane) + activated(1, 2 * pixel + 1, lane)) / 4
                case VOXEL_DOUBLE_SIZE: activated(0, pixel / 2, lane)
                default: activated(0, pixel, lane)
                }
            }
            try requireClose(result.values, expected, tolerance: 1e-6)
        }
    }

    private func silu(_ kernels: voxel_kernels, of values: [Float]) -> [Float] {
        let (x, result) = (Numbers(values), Numbers(unwritten: values.count))
        kernels.activate(
            x.start, nil, values.count / Block.lanes, nil, nil, true, VOXEL_SAME_SIZE, result.start)
        return result.values
    }

    private func gelu(_ kernels: voxel_kernels, of values: [Float]) -> [Float] {
        let (x, result) = (Numbers(values), Numbers(unwritten: values.count))
        kernels.gelu(nil, x.start, values.count / Block.lanes, result.start)
        return result.values
    }

    /// From -100 to 100, finely, and about 0 on every scale.
    private static let numbers: [Float] =
        (-16000...16000).dropLast().map { Float($0) / 160 }
        + (-40..<40).flatMap { exponent in [exp2f(Float(exponent)), -exp2f(Float(exponent))] }.map {
            min(100, max(-100, $0))
        }

    @Test func siluOfEveryNumber() throws {
        for kernels in kernelTables {
            try requireClose(
                silu(kernels, of: Self.numbers), Self.numbers.map { Self.silu(Double($0)) }, tolerance: 4e-7,
                scale: 1e-3, "SiLU")
        }
    }

    @Test func geluOfEveryNumber() throws {
        for kernels in kernelTables {
            try requireClose(
                gelu(kernels, of: Self.numbers), Self.numbers.map { Self.gelu(Double($0)) }, tolerance: 4e-7,
                "GELU")
        }
    }

    @Test func aGateMultipliesTheValue() async {
        await checkKernels(cases: 20) { kernels, generator in
            let pixels = generator.size(in: 1...9)
            let value = Numbers(generator.floats(pixels * Block.lanes))
            let x = Numbers(generator.floats(pixels * Block.lanes, in: -4...4))
            let result = Numbers(unwritten: pixels * Block.lanes)
            kernels.gelu(value.start, x.start, pixels, result.start)
            let expected = zip(value.values, x.values).map { Double($0) * Self.gelu(Double($1)) }
            try requireClose(result.values, expected, tolerance: 1e-6)
        }
    }

    @Test func productsAndRectifiers() async {
        await checkKernels(cases: 20) { kernels, generator in
            let count = generator.size(in: 1...9) * Block.lanes
            let (x, factor) = (Numbers(generator.floats(count)), Numbers(generator.floats(count)))
            let (offset, slope) = (Float.random(in: -2...2, using: &generator), Float(0.25))
            let scaled = zip(x.values, factor.values).map { Double($0) * (Double(offset) + Double($1)) }
            kernels.scale(x.start, factor.start, offset, count / Block.lanes)
            try requireClose(x.values, scaled, tolerance: 1e-6)
            let rectified = x.values.map { Double($0 < 0 ? slope * $0 : $0) }
            kernels.rectify(x.start, slope, count / Block.lanes)
            try requireClose(x.values, rectified, tolerance: 0)
        }
    }

    /// What is no number, or beyond all, never becomes an ordinary one.
    @Test func whatIsNoNumberStaysNone() {
        for kernels in kernelTables {
            for values in [silu(kernels, of: Self.extremes), gelu(kernels, of: Self.extremes)] {
                #expect(values[0].isNaN && values[3] == .infinity)
                // The true limit is 0; without end would be honest too, and so would no number.
                #expect(values[2] == 0 || !values[2].isFinite)
                #expect(values[4...].allSatisfy { $0 == 0 })
            }
        }
    }

    private static let extremes: [Float] =
        [.nan, -0.0, -.infinity, .infinity] + [Float](repeating: 0, count: 12)
}
