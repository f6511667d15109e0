import Foundation

/// A file whose header was read, open at its voxels.
///
/// The path is that of a file, of one file of a pair, or of a folder of DICOM files.
struct OpenVolume {
    private(set) var header: NIfTIHeader
    var reader: ByteReader

    init(path: String) throws(VolumeIOError.Reason) {
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue {
            // Once the file is open, it can be removed.
            let converted = try DICOMConversion(folder: path)
            try self.init(filePath: converted.file)
            if converted.isCorrected {
                header.warnings.append(.correctedDICOM(file: (converted.file as NSString).lastPathComponent))
            }
        } else {
            try self.init(filePath: path)
        }
    }

    /// A part of a file that is already open.
    init(header: NIfTIHeader, reader: ByteReader) { (self.header, self.reader) = (header, reader) }

    private init(filePath path: String) throws(VolumeIOError.Reason) {
        let pair = FilePair(path)?.existing
        if let pair, pair.header != path, access(path, F_OK) == 0, access(pair.header, F_OK) != 0 {
            throw .missingPartner(pair.header)
        }
        var reader = try ByteReader(path: access(path, F_OK) == 0 ? pair?.header ?? path : path)
        header = try NIfTIHeader(from: &reader, isNamedHeader: pair != nil)
        if header.isPair, let pair {
            guard access(pair.voxels, F_OK) == 0 else { throw .missingPartner(pair.voxels) }
            reader = try ByteReader(path: pair.voxels)
            let matrix = (pair.header as NSString).deletingPathExtension + ".mat"
            if header.version == nil, access(matrix, F_OK) == 0 {
                header.warnings.append(.unreadMatrix(path: matrix))
            }
        }
        self.reader = reader
    }
}

/// The paths of the two files of a `.hdr` and `.img` pair, which may each be compressed.
struct FilePair {
    private(set) var header, voxels: String

    /// The pair that a path belongs to, or `nil` if it is not named as one.
    init?(_ path: String) {
        let compression = path.lowercased().hasSuffix(".gz") ? String(path.suffix(3)) : ""
        let stem = path.dropLast(compression.count)
        let name = stem.suffix(4)
        let isUpper = name == name.uppercased()
        func sibling(_ name: String) -> String {
            stem.dropLast(4) + (isUpper ? name.uppercased() : name) + compression
        }
        switch name.lowercased() {
        case ".hdr": (header, voxels) = (path, sibling(".img"))
        case ".img": (header, voxels) = (sibling(".hdr"), path)
        default: return nil
        }
    }

    /// The pair with the names under which the files exist: only one of them may be compressed.
    var existing: FilePair {
        func existing(_ path: String) -> String {
            guard access(path, F_OK) != 0 else { return path }
            let other = path.lowercased().hasSuffix(".gz") ? String(path.dropLast(3)) : path + ".gz"
            return access(other, F_OK) == 0 ? other : path
        }
        var pair = self
        (pair.header, pair.voxels) = (existing(header), existing(voxels))
        return pair
    }
}
