import Foundation

/// Keeps a folder from being trained in by two at once, for as long as it lives.
///
/// It is the system's advisory lock (`flock`) on the file `lock` in the folder, which stays. The system releases it
/// when the file is closed, and so when the process ends, however it ends. Where a file system has no locks, nobody
/// is kept out.
final class FolderLock: Sendable {
    private let file: FileHandle

    /// Takes the lock of a folder that is there.
    ///
    /// - Throws: `TrainingError.locked` where another has it; the system's error where there can be no file.
    init(_ folder: URL) throws {
        let url = folder.appending(path: "lock")
        if !FileManager.default.fileExists(atPath: url.path) { try Data().write(to: url) }
        file = try FileHandle(forUpdating: url)
        if flock(file.fileDescriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
            throw TrainingError.locked(folder: folder.path)
        }
    }
}
