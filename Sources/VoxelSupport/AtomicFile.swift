import Foundation

/// A file that is replaced whole or not at all.
///
/// It is written as a file without a name (`O_TMPFILE`), which the system removes however the process ends, or, on file
/// systems that have none, under a hidden name in the same folder. ``commit()`` flushes it to disk, puts it in its place
/// and flushes the folder. Otherwise it is gone when the value goes out of scope. Symbolic links are followed: the file
/// that a link leads to is replaced. A file that is replaced keeps its mode.
///
/// A process that is killed leaves a hidden file only on file systems without nameless files, or in the moment between
/// two calls in which a complete file takes the place of another. The first file that a later process writes into the
/// folder removes it: see ``removeLeftovers(in:)``.
///
/// ```swift
/// try AtomicFile.write(data, to: url)
/// ```
package struct AtomicFile: ~Copyable {
    /// The file to write, which is empty at first. It is closed with this value.
    package let descriptor: Int32

    private let destination: String
    /// The mode of the file that is replaced.
    private let mode: mode_t?
    /// The hidden name, if it has one.
    private let temporary: String?
    private var isCommitted = false

    /// Creates the file.
    ///
    /// - Parameter isNameless: whether to use a file without a name where the system has them.
    /// - Throws: the system's error: `ENOENT` or `ENOTDIR` if the folder does not exist, `EISDIR` if there is a folder of
    ///   the file's name, `ENOTSUP` if there is a pipe or a device.
    package init(replacing url: URL, isNameless: Bool = true) throws(SystemError) {
        let destination = try Self.followingLinks(url.path)
        var status = stat()
        let exists = stat(destination, &status) == 0
        if exists, status.st_mode & S_IFMT != S_IFREG {
            throw SystemError(code: status.st_mode & S_IFMT == S_IFDIR ? EISDIR : ENOTSUP)
        }
        let folder = Self.folder(of: destination)
        UnfinishedFiles.shared.once(for: folder) { Self.removeLeftovers(in: folder) }
        if isNameless, let file = Self.openNameless(in: folder) {
            (descriptor, temporary) = (file, nil)
        } else {
            let named = try Self.openNamed(in: folder)
            (descriptor, temporary) = (named.file, named.path)
        }
        self.destination = destination
        mode = exists ? status.st_mode & 0o7777 : nil
    }

    deinit {
        if let temporary, !isCommitted { UnfinishedFiles.shared.remove(temporary) }
        close(descriptor)
    }

    /// Writes all of some bytes.
    ///
    /// - Throws: the system's error, such as `ENOSPC`.
    package func write(contentsOf data: some ContiguousBytes) throws(SystemError) {
        var failure: SystemError?
        data.withUnsafeBytes { bytes in
            do throws(SystemError) { try writeAll(bytes, to: descriptor) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Flushes the file to disk and puts it in its place.
    ///
    /// - Throws: the system's error.
    package mutating func commit() throws(SystemError) {
        if let mode { fchmod(descriptor, mode) }
        guard fsync(descriptor) == 0 else { throw .current }
        if let temporary {
            try UnfinishedFiles.shared.finish(temporary, as: destination)
        } else {
            try linkNameless()
        }
        isCommitted = true
        try Self.flush(folder: Self.folder(of: destination))
    }

    private static func folder(of path: String) -> String {
        let folder = (path as NSString).deletingLastPathComponent
        return folder.isEmpty ? "." : folder
    }

    /// The path after all symbolic links in its last component.
    private static func followingLinks(_ path: String) throws(SystemError) -> String {
        var path = path
        for _ in 0..<40 {
            guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path) else {
                return path
            }
            path = target.hasPrefix("/") ? target : folder(of: path) + "/" + target
        }
        throw SystemError(code: ELOOP)
    }

    /// The entry of the file in its folder is on disk only after this.
    private static func flush(folder: String) throws(SystemError) {
        let file = open(folder, O_RDONLY | O_CLOEXEC)
        // A folder may be written to without being readable.
        guard file >= 0 else { return }
        defer { close(file) }
        // Not every file system flushes folders.
        guard fsync(file) == 0 || errno == EINVAL || errno == ENOTSUP else { throw .current }
    }
}

// MARK: Nameless files

extension AtomicFile {
    private static func link(to descriptor: Int32) -> String { "/proc/self/fd/\(descriptor)" }

    /// A file without a name, or nil if the system has none there.
    private static func openNameless(in folder: String) -> Int32? {
        #if os(Linux)
            let nameless = 0o20000000 | O_DIRECTORY  // O_TMPFILE
            let file = open(folder, nameless | O_RDWR | O_CLOEXEC, 0o666)
            guard file >= 0 else { return nil }
            guard access(link(to: file), F_OK) == 0, flock(file, LOCK_EX | LOCK_NB) == 0 else {
                close(file)
                return nil
            }
            return file
        #else
            return nil
        #endif
    }

    /// Gives the file its name. One that is there can be replaced only by renaming.
    private func linkNameless() throws(SystemError) {
        #if os(Linux)
            let source = Self.link(to: descriptor)
            if linkat(AT_FDCWD, source, AT_FDCWD, destination, AT_SYMLINK_FOLLOW) == 0 { return }
            guard errno == EEXIST else { throw .current }
            let temporary = Self.newName(in: Self.folder(of: destination))
            try UnfinishedFiles.shared.add(temporary) {
                linkat(AT_FDCWD, source, AT_FDCWD, temporary, AT_SYMLINK_FOLLOW)
            }
            do { try UnfinishedFiles.shared.finish(temporary, as: destination) } catch {
                UnfinishedFiles.shared.remove(temporary)
                throw error
            }
        #endif
    }
}

// MARK: Hidden names

extension AtomicFile {
    private static let (prefix, suffix) = (".voxelbridge-", ".partial")

    private static func newName(in folder: String) -> String {
        "\(folder)/\(prefix)\(UUID().uuidString)\(suffix)"
    }

    /// A file under a hidden name, locked while it is open, so that it is not taken for a leftover.
    private static func openNamed(in folder: String) throws(SystemError) -> (path: String, file: Int32) {
        while true {
            let path = newName(in: folder)
            let file = try UnfinishedFiles.shared.add(path) {
                open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
            }
            // Another process may have taken it for a leftover before it was locked. A system without locks takes none.
            let isTaken = flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK
            if !isTaken, FileLock.isOpen(file, at: path) { return (path, file) }
            UnfinishedFiles.shared.remove(path)
            close(file)
        }
    }

    /// Removes what killed processes have left in a folder: hidden files that no process has locked. O(n) in its files.
    package static func removeLeftovers(in folder: String) {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        where name.hasPrefix(prefix) && name.hasSuffix(suffix) {
            let path = "\(folder)/\(name)"
            let file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
            guard file >= 0 else { continue }
            if flock(file, LOCK_EX | LOCK_NB) == 0, FileLock.isOpen(file, at: path) { unlink(path) }
            close(file)
        }
    }
}

extension AtomicFile {
    /// Replaces a file with what `body` writes.
    ///
    /// - Throws: the system's error; what `body` throws.
    package static func write(to url: URL, _ body: (borrowing AtomicFile) throws -> Void) throws {
        var file = try AtomicFile(replacing: url)
        try body(file)
        try file.commit()
    }

    /// Replaces a file with data.
    ///
    /// - Throws: the system's error.
    package static func write(_ data: Data, to url: URL) throws(SystemError) {
        var file = try AtomicFile(replacing: url)
        try file.write(contentsOf: data)
        try file.commit()
    }
}
