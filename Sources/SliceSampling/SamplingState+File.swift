import Foundation

/// The file of a saved state: the eight bytes `VXBSTATE`, the length of a JSON header as an unsigned 64-bit number,
/// the header, and the 32-bit floats of the noisy stack and of the estimate; all numbers little-endian.
extension SamplingState {
    private static let signature = Data("VXBSTATE".utf8)
    /// No header comes near it: its longest part is the list of timesteps.
    private static let longestHeader = 1 << 24

    fileprivate struct Header: Codable {
        let run: SamplingRun
        let stepsMade: Int
    }

    /// Writes the state, whole or not at all.
    ///
    /// - Throws: the system's error where the file cannot be written.
    public func write(to file: URL) throws {
        let encoder = JSONEncoder()
        // Equal states make equal files.
        encoder.outputFormatting = .sortedKeys
        let header = try encoder.encode(Header(run: run, stepsMade: stepsMade))
        var data = Self.signature
        withUnsafeBytes(of: UInt64(header.count).littleEndian) { data.append(contentsOf: $0) }
        data.append(header)
        for stack in [noisyStack, estimateStack] {
            stack.map(\.bitPattern.littleEndian).withUnsafeBytes { data.append(contentsOf: $0) }
        }
        try data.write(to: file, options: .atomic)
    }

    /// Reads a state that was written.
    ///
    /// - Throws: ``SamplingStateError/damaged(file:reason:)`` where the file is none; the system's error where it
    ///   cannot be read.
    public init(contentsOf file: URL) throws {
        func damaged(_ reason: String) -> SamplingStateError { .damaged(file: file.path, reason: reason) }
        let data = try Data(contentsOf: file)
        guard data.count >= 16, data.prefix(8) == Self.signature else {
            throw damaged("it does not begin with VXBSTATE")
        }
        let length = data.dropFirst(8).prefix(8).enumerated().reduce(UInt64(0)) {
            $0 | UInt64($1.element) << UInt64(8 * $1.offset)
        }
        guard length <= UInt64(min(Self.longestHeader, data.count - 16)) else {
            throw damaged("its header is said to take \(length) bytes")
        }
        let json = data.dropFirst(16).prefix(Int(length))
        guard let header = try? JSONDecoder().decode(Header.self, from: json) else {
            throw damaged("its header is no description of a run")
        }
        guard let grid = header.grid, let layout = header.layout(on: grid) else {
            throw damaged("its header contradicts itself")
        }
        let values = data.dropFirst(16 + Int(length))
        guard values.count == layout.bytesOfStacks else {
            let needed = layout.bytesOfStacks.map { "\($0)" } ?? "countless"
            throw damaged("\(needed) bytes of values are needed and \(values.count) are there")
        }
        (run, stepsMade) = (header.run, header.stepsMade)
        (self.grid, self.layout) = (grid, layout)
        noisyStack = Self.floats(values.prefix(values.count / 2))
        estimateStack = Self.floats(values.suffix(values.count / 2))
    }

    private static func floats(_ bytes: Data) -> [Float] {
        bytes.withUnsafeBytes { bytes in
            (0..<bytes.count / 4).map {
                Float(
                    bitPattern: UInt32(
                        littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)))
            }
        }
    }
}

extension SamplingState.Header {
    /// The grid, if there can be such a one.
    fileprivate var grid: VoxelGrid? {
        let affine = run.affine
        guard run.shape.count == 3, run.shape.allSatisfy({ (1...1 << 20).contains($0) }),
            affine.count == 3, affine.allSatisfy({ $0.count == 4 && $0.allSatisfy(\.isFinite) })
        else { return nil }
        let placement = Affine(
            rows: SIMD4(affine[0]), SIMD4(affine[1]), SIMD4(affine[2]))
        guard placement.inverse != nil else { return nil }
        return VoxelGrid(shape: SIMD3(run.shape), affine: placement)
    }

    /// The layout of the step that was made last, if the run has such a step.
    fileprivate func layout(on grid: VoxelGrid) -> SliceLayout? {
        guard (1...max(1, run.timesteps.count)).contains(stepsMade), run.timesteps.count >= stepsMade,
            !run.planes.isEmpty, run.planes.count == run.radii.count,
            run.radii.allSatisfy({ (0...1 << 10).contains($0) })
        else { return nil }
        let view = (stepsMade - 1) % run.planes.count
        return SliceLayout(
            plane: run.planes[view], radius: run.radii[view], of: grid,
            windowsShareSlices: run.windowsShareSlices)
    }
}

extension SliceLayout {
    /// Bytes of the noisy stack and the estimate together, or `nil` where they are too many to count.
    fileprivate var bytesOfStacks: Int? {
        let (bytes, overflow) = stateSlices.multipliedReportingOverflow(by: voxelsPerSlice * 8)
        return overflow ? nil : bytes
    }
}
