import Foundation

/// A measured time, with its work and memory.
struct Measurement: Codable {
    let what: String
    let threads: Int
    /// The time per unit in the shortest run.
    var seconds: Double
    /// Operations by their definition, even if fewer were executed.
    let operations: Double
    /// The process's peak memory so far, in bytes.
    var peakMemory: Int
    /// The peer's measurement, if there is one.
    var peer: PeerMeasurement?

    /// The shorter time, and the larger memory.
    func merged(with other: Measurement) -> Measurement {
        var merged = self
        merged.seconds = min(seconds, other.seconds)
        merged.peakMemory = max(peakMemory, other.peakMemory)
        return merged
    }
}

/// The seconds of the shortest of several runs after a warm-up.
func shortest(of repeats: Int, _ run: () async throws -> Void) async rethrows -> Double {
    try await run()
    var shortest = Double.infinity
    for _ in 0..<repeats { shortest = min(shortest, try await seconds(run)) }
    return shortest
}

/// The seconds of one run.
func seconds(_ run: () async throws -> Void) async rethrows -> Double {
    let clock = ContinuousClock()
    let start = clock.now
    try await run()
    return (clock.now - start) / .seconds(1)
}

/// The processes whose memory is measured.
enum ProcessGroup {
    /// This process.
    case ourselves
    /// The finished child process with the largest peak memory.
    case children
}

/// The peak memory of a process in bytes, including mapped files.
func peakMemory(of group: ProcessGroup = .ourselves) -> Int {
    let who = group == .ourselves ? RUSAGE_SELF : RUSAGE_CHILDREN
    var usage = rusage()
    #if canImport(Darwin)
        getrusage(who, &usage)
        return usage.ru_maxrss
    #else
        getrusage(__rusage_who_t(who.rawValue), &usage)
        return usage.ru_maxrss << 10  // In KiB on Linux.
    #endif
}

/// A Markdown table, in which all columns but the first are numbers.
func markdown(_ header: [String], _ rows: [[String]]) -> String {
    let line = { (cells: [String]) in "| " + cells.joined(separator: " | ") + " |" }
    let rule = "|---|" + String(repeating: "---:|", count: header.count - 1)
    return ([line(header), rule] + rows.map(line)).joined(separator: "\n")
}

/// A number with at least three significant digits.
func text(_ number: Double) -> String {
    let digits = number >= 100 ? 0 : number >= 10 ? 1 : number >= 1 ? 2 : 3
    return String(format: "%.\(digits)f", number)
}

extension [Measurement] {
    /// The measurements as a table, with the peer's if known.
    func table(comparesMemory: Bool = false) -> String {
        let memory = { (bytes: Int) in text(Double(bytes) / 1e9) + " GB" }
        return markdown(
            ["", "threads", "seconds", "PyTorch", "ratio", "GFLOP/s", "peak memory"]
                + (comparesMemory ? ["PyTorch's"] : []),
            map { own in
                [
                    own.what, "\(own.threads)", text(own.seconds), own.peer.map { text($0.seconds) } ?? "",
                    own.peer.map { text($0.seconds / own.seconds) } ?? "",
                    text(own.operations / own.seconds / 1e9), memory(own.peakMemory),
                ] + (comparesMemory ? [own.peer.map { memory($0.peakMemory) } ?? ""] : [])
            })
    }
}
