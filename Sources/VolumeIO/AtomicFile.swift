import CNIfTI
import Foundation

/// A file that appears under its name complete or not at all.
///
/// It is written under another name in the same folder; `commit` flushes it to the disk and renames it. If
/// it is given up before that, it is removed.
struct AtomicFile: ~Copyable {
    private let destination: String
    private let temporary: String
    private var file: znzFile?
    private var isCommitted = false

    /// Creates the file under a temporary name. If the destination is a link, what it points to is meant.
    init(destination: URL, isCompressed: Bool) throws(VolumeIOError.Reason) {
        let destination = destination.resolvingSymlinksInPath()
        let folder = destination.deletingLastPathComponent()
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder), isFolder.boolValue
        else {
            throw .missingFolder(folder.path)
        }
        let temporary = folder.appending(path: ".voxelbridge-\(UUID().uuidString).partial").path
        guard let file = znzopen(temporary, "wbx", isCompressed ? 1 : 0) else {
            throw .unwritable(systemMessage())
        }
        (self.destination, self.temporary, self.file) = (destination.path, temporary, file)
    }

    deinit {
        var file = file
        if file != nil { Xznzclose(&file) }
        if !isCommitted { unlink(temporary) }
    }

    /// Writes the bytes of numbers as they lie in memory.
    func write<Number: BitwiseCopyable>(_ numbers: [Number]) throws(VolumeIOError.Reason) {
        let (file, count) = (file, numbers.count * MemoryLayout<Number>.stride)
        let written = numbers.withUnsafeBytes { znzwrite($0.baseAddress, 1, count, file) }
        guard written == count else { throw .unwritable(systemMessage()) }
    }

    /// Flushes the file and gives it its name.
    mutating func commit() throws(VolumeIOError.Reason) {
        guard Xznzclose(&file) == 0 else { throw .unwritable(systemMessage()) }
        let descriptor = open(temporary, O_RDONLY)
        guard descriptor >= 0 else { throw .unwritable(systemMessage()) }
        let isFlushed = fsync(descriptor) == 0
        close(descriptor)
        guard isFlushed, rename(temporary, destination) == 0 else { throw .unwritable(systemMessage()) }
        isCommitted = true
    }
}
