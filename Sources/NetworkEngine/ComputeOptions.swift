import Foundation

/// The part of the machine that a network may use. No result depends on it, except for ``winogradMemory``, which
/// changes last digits.
public struct ComputeOptions: Equatable, Sendable {
    /// The threads that all evaluations of the network together keep busy: by default one for each processor.
    public var threads = ProcessInfo.processInfo.activeProcessorCount

    /// The bytes that weights in Winograd's form may take; nil, the default, for as many as the network needs.
    ///
    /// That form is four times as large as the plain one and makes a 3 x 3 convolution two to four times as fast. The
    /// layers with the most pixels get it first. With 0, weights take as much memory as on disk.
    public var winogradMemory: Int?

    /// All processors, and all memory that helps.
    public init() {}

    /// - Parameters:
    ///   - threads: the threads that all evaluations of the network together keep busy.
    ///   - winogradMemory: the bytes that weights in Winograd's form may take; nil for as many as needed.
    public init(threads: Int, winogradMemory: Int? = nil) {
        (self.threads, self.winogradMemory) = (threads, winogradMemory)
    }
}
