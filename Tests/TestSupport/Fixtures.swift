import Foundation
import Testing

/// Real volumes and reference numbers that lie outside the repository.
///
/// They are looked for in `../shared` from the package's root, or where `VOXELBRIDGE_TEST_DATA` (volumes)
/// and `VOXELBRIDGE_TEST_REFERENCE` (reference numbers; by default beside the volumes) point. Tests that need
/// them are skipped, with a message, where they are not there:
///
/// ```swift
/// @Test(.enabled(if: Fixtures.hasReference, Fixtures.missingReference))
/// ```
public enum Fixtures {
    /// The folder that holds Package.swift.
    public static let packageRoot = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private static let dataFolder =
        environmentFolder("VOXELBRIDGE_TEST_DATA") ?? packageRoot.appending(path: "../shared/data").standardized

    private static let referenceFolder =
        environmentFolder("VOXELBRIDGE_TEST_REFERENCE")
        ?? dataFolder.deletingLastPathComponent().appending(path: "reference")

    private static func environmentFolder(_ name: String) -> URL? {
        ProcessInfo.processInfo.environment[name].map { URL(filePath: $0, directoryHint: .isDirectory) }
    }

    /// Whether the real volumes are there.
    public static let hasData = exists(dataFolder)

    /// Whether the reference numbers are there.
    public static let hasReference = exists(referenceFolder)

    /// Why a test of real volumes was skipped.
    public static let missingData: Comment = "no test volumes: set VOXELBRIDGE_TEST_DATA to their folder"

    /// Why a test against reference numbers was skipped.
    public static let missingReference: Comment =
        "no reference numbers: set VOXELBRIDGE_TEST_REFERENCE to their folder"

    /// A real volume, by its file name.
    public static func data(_ name: String) -> URL { dataFolder.appending(path: name) }

    /// A file of reference numbers, by its name.
    public static func reference(_ name: String) -> URL { referenceFolder.appending(path: name) }

    private static func exists(_ url: URL) -> Bool { FileManager.default.fileExists(atPath: url.path) }
}
