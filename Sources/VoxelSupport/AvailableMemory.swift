import Foundation

/// The memory that this process can use.
package enum AvailableMemory {
    /// The most bytes: the machine's memory, or a lower limit of the process or of its control group.
    package static var bytes: Int {
        var bytes = Int(clamping: ProcessInfo.processInfo.physicalMemory)
        var limit = rlimit()
        #if canImport(Darwin)
            let isKnown = getrlimit(RLIMIT_AS, &limit) == 0
        #else
            let isKnown = getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0
            if let text = try? String(contentsOfFile: "/sys/fs/cgroup/memory.max", encoding: .utf8),
                let most = Int(text.trimmingCharacters(in: .whitespacesAndNewlines))
            {
                bytes = min(bytes, most)
            }
        #endif
        if isKnown { bytes = min(bytes, Int(clamping: limit.rlim_cur)) }
        return bytes
    }

    /// A number of bytes in GiB, for messages.
    package static func text(_ bytes: Int) -> String { String(format: "%.1f GiB", Double(bytes) / 0x1p30) }
}
