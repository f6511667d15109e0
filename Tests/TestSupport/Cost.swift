import Foundation

/// What this process and this thread have used so far.
public struct Cost: Sendable {
    /// Seconds of computing on this thread: a machine that is busy elsewhere does not count.
    public let seconds: Double
    /// The most memory that the process has held at a time, in bytes.
    public let peakMemory: Int

    /// What has been used until now.
    public static func now() -> Cost {
        Cost(seconds: seconds, peakMemory: peakMemory)
    }

    /// Seconds of computing on this thread.
    public static var seconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    #if canImport(Darwin)
        private static var peakMemory: Int {
            var usage = rusage()
            getrusage(RUSAGE_SELF, &usage)
            return usage.ru_maxrss
        }
    #else
        /// What `getrusage` says of a process counts the one that started it.
        private static var peakMemory: Int {
            let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
            let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
            return (line?.split(separator: " ").compactMap { Int($0) }.first ?? 0) * 1024
        }
    #endif

    /// What was used between two moments.
    public static func - (later: Cost, earlier: Cost) -> Cost {
        Cost(seconds: later.seconds - earlier.seconds, peakMemory: later.peakMemory - earlier.peakMemory)
    }
}
