import Foundation

/// Keeps a folder from being trained in by two at once, for as long as it lives.
///
/// It is the system's advisory lock (`flock`) on the file `lock` in the folder, which stays. The system releases it
/// when the process ends, however it ends. Where a file system has no locks, nobody is kept out.
final class FolderLock: Sendable {
    private let descriptor: Int32

    /// Takes the lock of a folder that is there.
    ///
    /// - Throws: `TrainingError.locked` where another has it; the system's error where there can be no file.
    init(_ folder: URL) throws {
        let path = folder.appending(path: "lock").path
        // Not for programs that this one starts: they would keep the lock when it has ended.
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0 else {
            throw CocoaError(
                .fileWriteUnknown,
                userInfo: [
                    NSFilePathErrorKey: path,
                    NSUnderlyingErrorKey: NSError(domain: NSPOSIXErrorDomain, code: Int(errno)),
                ])
        }
        if flock(file, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
            close(file)
            throw TrainingError.locked(folder: folder.path)
        }
        descriptor = file
    }

    deinit {
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }
}
