import CVoxelKernels
import TestSupport
import Testing

/// Every table of kernels that runs on this machine.
var kernelTables: [voxel_kernels] {
    var tables = [UnsafePointer<voxel_kernels>?](repeating: nil, count: 3)
    return tables.withUnsafeMutableBufferPointer { buffer in
        (0..<voxel_kernels_available(buffer.baseAddress)).map { buffer[$0]!.pointee }
    }
}

/// Numbers in 64-byte aligned memory of exactly their size, so that a checker of memory sees each step outside.
final class Numbers {
    let start: UnsafeMutablePointer<Float>
    let count: Int

    init(_ values: [Float]) {
        let bytes = UnsafeMutableRawPointer.allocate(byteCount: max(64, values.count * 4), alignment: 64)
        start = bytes.bindMemory(to: Float.self, capacity: values.count)
        count = values.count
        start.update(from: values, count: values.count)
    }

    /// `count` numbers that are not numbers: what is not written shows.
    convenience init(unwritten count: Int) { self.init([Float](repeating: .nan, count: count)) }

    deinit { UnsafeMutableRawPointer(start).deallocate() }

    var values: [Float] { Array(UnsafeBufferPointer(start: start, count: count)) }
    subscript(index: Int) -> Float { start[index] }
}

/// Requires numbers to be within `tolerance` of those expected, each relative to itself but at least to `scale`.
func requireClose(
    _ found: [Float], _ expected: [Double], tolerance: Double, scale: Double = 1,
    _ what: @autoclosure () -> String = ""
) throws {
    try #require(found.count == expected.count)
    for (index, (value, target)) in zip(found, expected).enumerated() {
        let error = abs(Double(value) - target)
        guard error <= tolerance * max(scale, abs(target)) else {
            try #require(Bool(false), "\(what()) gives \(value) for \(target) at \(index)")
            return
        }
    }
}

/// A law of the kernels, checked for each kind of processor at hand.
func checkKernels(
    cases: Int, sourceLocation: SourceLocation = #_sourceLocation,
    _ law: (voxel_kernels, inout SeededGenerator) throws -> Void
) async {
    for table in kernelTables {
        await checkLaw(cases: cases, sourceLocation: sourceLocation) { generator in
            do { try law(table, &generator) } catch {
                Issue.record(
                    "with the kernels for \(String(cString: table.name))", sourceLocation: sourceLocation)
                throw error
            }
        }
    }
}
