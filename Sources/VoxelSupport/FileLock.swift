import Foundation

/// Exclusive use of something among processes while the instance exists: an advisory lock (`flock`) on a file.
///
/// The system releases it however the process ends. On a file system without locks it has no effect.
package final class FileLock: Sendable {
    private let descriptor: Int32
    private let path: String

    /// Locks a file, which is created if necessary.
    ///
    /// - Throws: `EWOULDBLOCK` if another process, or another instance, has locked it; the system's error if it cannot be
    ///   created.
    package init(_ file: URL) throws(SystemError) {
        path = file.path
        while true {
            // Closed in child processes, which would otherwise hold the lock after this process has ended.
            let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
            guard descriptor >= 0 else { throw .current }
            if flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
                close(descriptor)
                throw SystemError(code: EWOULDBLOCK)
            }
            // Whoever held it before may have removed the file.
            guard Self.isOpen(descriptor, at: path) else {
                close(descriptor)
                continue
            }
            self.descriptor = descriptor
            return
        }
    }

    deinit {
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    /// Removes the file; the lock stays until the instance is released.
    package func removeFile() { unlink(path) }

    /// Whether a path is that of an open file.
    static func isOpen(_ descriptor: Int32, at path: String) -> Bool {
        var (opened, named) = (stat(), stat())
        return fstat(descriptor, &opened) == 0 && lstat(path, &named) == 0
            && (opened.st_dev, opened.st_ino) == (named.st_dev, named.st_ino)
    }
}
