import Foundation

/// How much of the machine a network may take. None of it changes a result but ``winogradMemory``, and that its
/// last digits alone.
public struct ComputeOptions: Equatable, Sendable {
    /// The threads that all evaluations of the network together keep busy: all processors, unless set.
    public var threads = ProcessInfo.processInfo.activeProcessorCount

    /// The bytes that weights in Winograd's form may take, which is four times as large as the plain one and
    /// makes a 3 x 3 convolution two to four times as fast; nil, the default, for as many as the network needs.
    ///
    /// The layers with the most pixels get it first. With 0, weights take the room that they have on disk.
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
