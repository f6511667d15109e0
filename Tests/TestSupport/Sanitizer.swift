import Foundation

/// Whether tests run under a sanitizer, by `.ci/sanitize`, which takes time and memory of its own.
public let isSanitized = ProcessInfo.processInfo.environment["VOXELBRIDGE_SANITIZER"] != nil
