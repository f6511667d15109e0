/// Why a PyTorch checkpoint could not be read.
public struct PyTorchError: Error, Equatable, CustomStringConvertible {
    /// The file.
    public let file: String

    /// What is wrong with it.
    public let problem: Problem

    /// What can be wrong with a file.
    public enum Problem: Error, Equatable {
        /// The file could not be opened.
        case unreadable(reason: String)
        /// The file is of the format that PyTorch wrote before version 1.6.
        case legacy
        /// The file is no zip archive, or one that PyTorch does not write.
        case archive(reason: String)
        /// An entry of the archive is not as PyTorch writes it.
        case entry(name: String, reason: String)
        /// The pickle names something that is neither a tensor nor plain data. It was not executed.
        case forbidden(name: String)
        /// The pickle is not one that PyTorch writes, or needs more memory than any checkpoint does.
        case pickle(reason: String, byte: Int)
        /// A tensor's numbers do not lie within its storage.
        case tensor(name: String, reason: String)
        /// No tensor has this name.
        case missingTensor(name: String)
    }

    /// The file, what was found, and what was expected.
    public var description: String { "\(file): \(problem.explanation)" }
}

extension PyTorchError.Problem {
    fileprivate var explanation: String {
        switch self {
        case .unreadable(let reason): "cannot be read: \(reason)"
        case .legacy:
            "the file is of the format that PyTorch wrote before version 1.6; read and save it again with a newer "
                + "one: torch.save(torch.load(old, weights_only=True), new)"
        case .archive(let reason): "this is not a checkpoint as PyTorch saves it: \(reason)"
        case .entry(let name, let reason): "entry '\(name)' of the archive: \(reason)"
        case .forbidden(let name):
            "the file asks for '\(name)', which is neither a tensor nor plain data, and is not executed; save the "
                + "weights alone: torch.save({'model': model.state_dict()}, new)"
        case .pickle(let reason, let byte): "data.pkl at byte \(byte): \(reason)"
        case .tensor(let name, let reason): "tensor '\(name)': \(reason)"
        case .missingTensor(let name): "there is no tensor '\(name)'"
        }
    }
}
