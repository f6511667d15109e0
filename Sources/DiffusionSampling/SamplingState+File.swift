public import Foundation
import VoxelSupport

/// The file of a saved state: the eight bytes `VXBSTATE`, the length of a JSON header as an unsigned 64-bit number, the
/// header, and the 32-bit floats of x_t and of the estimates, the latest first; all numbers little-endian.
extension SamplingState {
    private static var signature: Data { Data("VXBSTATE".utf8) }
    private static var version: Int { 2 }
    /// Far above any header: its longest part is the list of timesteps.
    private static var longestHeader: Int { 1 << 24 }

    private struct Header: Codable {
        let version: Int
        let identity: RunIdentity
        let stepsMade: Int
        /// How x_t and the estimates lie.
        let shape: Storage.Shape
        /// Number of estimates.
        let estimates: Int
    }

    /// Writes the state, whole or not at all.
    ///
    /// - Throws: the system's error where the file cannot be written.
    public func write(to file: URL) throws {
        let header = try Header(
            version: Self.version, identity: identity, stepsMade: stepsMade, shape: noisy.shape,
            estimates: estimates.count
        ).sortedJSON()
        try AtomicFile.write(to: file) { output in
            try output.write(contentsOf: Self.signature)
            try withUnsafeBytes(of: UInt64(header.count).littleEndian) {
                try output.write(contentsOf: Data($0))
            }
            try output.write(contentsOf: header)
            for storage in [noisy] + estimates {
                try storage.values.map { $0.bitPattern.littleEndian }.withUnsafeBytes {
                    try output.write(contentsOf: Data($0))
                }
            }
        }
    }

    /// Writes the state to the file at a path, whole or not at all.
    public func write(to path: String) throws { try write(to: URL(filePath: path)) }

    /// Reads a state that was written.
    ///
    /// - Throws: ``SamplingStateError/damaged(file:reason:)`` where the file is no state of such storage; the system's
    ///   error where it cannot be read.
    public init(contentsOf file: URL) throws {
        func damaged(_ reason: String) -> SamplingStateError { .damaged(file: file.path, reason: reason) }
        // Not mapped: a file that is cut meanwhile would end the process.
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
            throw damaged("its header does not describe a run of this kind, or is of another version")
        }
        guard header.version == Self.version else {
            throw damaged("it has version \(header.version) and \(Self.version) was expected")
        }
        let values = data.dropFirst(16 + Int(length))
        guard (1...64).contains(header.estimates), values.count % (4 * (header.estimates + 1)) == 0,
            (1...max(1, header.identity.timesteps.count)).contains(header.stepsMade),
            header.stepsMade <= header.identity.timesteps.count
        else { throw damaged("its header contradicts itself or its length") }
        let bytes = values.count / (header.estimates + 1)
        let storages = try (0...header.estimates).map { index in
            let part = Self.floats(values.dropFirst(index * bytes).prefix(bytes))
            guard let storage = Storage(restoring: part, as: header.shape) else {
                throw damaged("\(part.count) values do not fit the shape that its header gives")
            }
            return storage
        }
        self.init(
            stepsMade: header.stepsMade, noisy: storages[0], estimates: Array(storages[1...]),
            identity: header.identity)
    }

    /// Reads a state from the file at a path.
    public init(contentsOf path: String) throws { try self.init(contentsOf: URL(filePath: path)) }

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
