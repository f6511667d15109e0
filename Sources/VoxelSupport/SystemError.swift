import Foundation

/// An error of the operating system, by its `errno`.
package struct SystemError: LocalizedError, CustomStringConvertible, Hashable {
    package let code: Int32

    /// The error of the last failed call on this thread.
    package static var current: SystemError { SystemError(code: errno) }

    package init(code: Int32) { self.code = code }

    /// The system's message, such as `No space left on device`.
    package var description: String { String(cString: strerror(code)) }

    /// The same as `description`.
    package var errorDescription: String? { description }
}

extension Data {
    /// Reads a file that people write, such as a table or settings. A pipe or a device is read too.
    ///
    /// - Parameter limit: the most bytes that such a file has.
    /// - Throws: the system's error; `TooLarge`.
    package init(contentsOf url: URL, atMost limit: Int) throws {
        let file = open(url.path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw SystemError.current }
        defer { close(file) }
        self.init()
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let read = try buffer.withUnsafeMutableBytes { try readAll(into: $0, from: file) }
            if read == 0 { return }
            guard count + read <= limit else { throw TooLarge(limit: limit) }
            append(contentsOf: buffer[..<read])
        }
    }

    /// A file is larger than any of its kind.
    package struct TooLarge: LocalizedError, CustomStringConvertible {
        let limit: Int
        package var description: String {
            "it has more than \(limit >> 20) MiB, which no file of this kind needs"
        }
        package var errorDescription: String? { description }
    }
}

extension Error {
    /// What is wrong, for people. The package's errors describe themselves. Foundation's are given in the system's words,
    /// without their domains and codes.
    package var explanation: String {
        if let error = self as? DecodingError { return "\(error.fieldError)" }
        // Every error can be seen as an NSError; the domain tells whose it is.
        let error = self as NSError
        switch error.domain {
        case NSPOSIXErrorDomain: return SystemError(code: Int32(truncatingIfNeeded: error.code)).description
        case NSCocoaErrorDomain:
            if let cause = error.userInfo[NSUnderlyingErrorKey] as? any Error { return cause.explanation }
            return Self.systemCode(ofCocoaError: error.code).map { SystemError(code: $0).description }
                ?? error.localizedDescription
        default: return (self as? any LocalizedError)?.errorDescription ?? String(describing: self)
        }
    }

    /// The file that a Foundation error is about.
    package var filePath: String? {
        let error = self as NSError
        guard error.domain == NSCocoaErrorDomain else { return nil }
        return error.userInfo[NSFilePathErrorKey] as? String
            ?? (error.userInfo[NSURLErrorKey] as? URL)?.path
    }

    private static func systemCode(ofCocoaError code: Int) -> Int32? {
        switch CocoaError.Code(rawValue: code) {
        case .fileNoSuchFile, .fileReadNoSuchFile: ENOENT
        case .fileReadNoPermission, .fileWriteNoPermission: EACCES
        case .fileWriteFileExists: EEXIST
        case .fileWriteOutOfSpace: ENOSPC
        case .fileWriteVolumeReadOnly: EROFS
        case .fileReadTooLarge: EFBIG
        default: nil
        }
    }
}

extension String {
    /// The text for a message, if it comes from a file: at most 200 characters, and none that controls a terminal.
    package var shortened: String {
        // Scalars: a single character may be of any length.
        let limit = 200
        var text = ""
        for scalar in unicodeScalars.prefix(limit) {
            if scalar.properties.generalCategory == .control {
                text += scalar.escaped(asASCII: true)
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
        return unicodeScalars.dropFirst(limit).isEmpty ? text : text + "..."
    }
}
