import Foundation
import Synchronization

/// The files and folders with names that this process has made and not finished, which a signal removes.
///
/// It is one per process, as signals are.
final class UnfinishedFiles: Sendable {
    static let shared = UnfinishedFiles()

    private struct State {
        var paths: Set<String> = []
        var folders: Set<String> = []
    }

    private let state = Mutex(State())

    /// Creates a file and notes it, as one step for signals.
    ///
    /// - Parameter create: returns less than 0 if it fails, and leaves the reason in `errno`.
    /// - Throws: the system's error.
    @discardableResult
    func add(_ path: String, _ create: () -> Int32) throws(SystemError) -> Int32 {
        let (result, code) = state.withLock { state in
            let result = create()
            if result >= 0 { state.paths.insert(path) }
            return (result, errno)
        }
        guard result >= 0 else { throw SystemError(code: code) }
        return result
    }

    /// Renames a file, which is then finished.
    ///
    /// - Throws: the system's error; the file is then still unfinished.
    func finish(_ path: String, as destination: String) throws(SystemError) {
        let code = state.withLock { state -> Int32 in
            guard rename(path, destination) == 0 else { return errno }
            state.paths.remove(path)
            return 0
        }
        guard code == 0 else { throw SystemError(code: code) }
    }

    /// Removes a file or folder.
    func remove(_ path: String) {
        state.withLock { state in
            try? FileManager.default.removeItem(atPath: path)
            state.paths.remove(path)
        }
    }

    /// Runs `body` the first time that it is asked to for a folder.
    func once(for folder: String, _ body: () -> Void) {
        if state.withLock({ $0.folders.insert(folder).inserted }) { body() }
    }

    /// Removes everything, and runs `body` while no other thread can finish or begin a file.
    func removeAll(_ body: () -> Void) {
        state.withLock { state in
            for path in state.paths { try? FileManager.default.removeItem(atPath: path) }
            body()
        }
    }
}

/// A new folder, which is removed when nothing refers to it any more.
///
/// One that a killed process has left is removed when the next is made with the same name.
package final class TemporaryFolder: Sendable {
    package let url: URL
    private let descriptor: Int32

    /// Makes a folder in the system's folder for temporary files.
    ///
    /// - Parameter name: the beginning of its name, which nothing else may use.
    /// - Throws: the system's error.
    package init(named name: String) throws(SystemError) {
        let place = FileManager.default.temporaryDirectory
        let names = (try? FileManager.default.contentsOfDirectory(atPath: place.path)) ?? []
        for old in names where old.hasPrefix("\(name)-") {
            let path = place.appending(path: old).path
            let file = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
            guard file >= 0 else { continue }
            if flock(file, LOCK_EX | LOCK_NB) == 0 { try? FileManager.default.removeItem(atPath: path) }
            close(file)
        }
        while true {
            let url = place.appending(path: "\(name)-\(UUID().uuidString)", directoryHint: .isDirectory)
            try UnfinishedFiles.shared.add(url.path) { mkdir(url.path, 0o700) }
            let file = open(url.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            // Another process may have taken it for a leftover before it was locked.
            if file >= 0, flock(file, LOCK_EX | LOCK_NB) == 0, FileLock.isOpen(file, at: url.path) {
                (self.url, descriptor) = (url, file)
                return
            }
            let failure = SystemError.current
            if file >= 0 { close(file) }
            UnfinishedFiles.shared.remove(url.path)
            guard failure.code == EWOULDBLOCK || failure.code == ENOENT else { throw failure }
        }
    }

    deinit {
        UnfinishedFiles.shared.remove(url.path)
        close(descriptor)
    }
}
