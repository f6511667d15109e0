import CPNG
import Foundation
import VoxelSupport

/// An image in one of libpng's formats of 8 bits a channel.
///
/// The simplified interface of libpng returns errors; the other one reports them by `longjmp`, which must not cross Swift
/// code.
struct PNG {
    let pixels: [UInt8]
    let width, height: Int
    let format: CInt

    init(pixels: [UInt8], width: Int, height: Int, format: some BinaryInteger) {
        (self.pixels, self.width, self.height, self.format) = (pixels, width, height, CInt(format))
    }

    /// The file's bytes.
    ///
    /// - Throws: `FigureError.unencodable`.
    func encoded() throws(FigureError) -> Data {
        var header = png_image()
        header.version = png_uint_32(PNG_IMAGE_VERSION)
        header.width = png_uint_32(width)
        header.height = png_uint_32(height)
        header.format = png_uint_32(format)
        defer { png_image_free(&header) }

        let stride = png_int_32(pixels.count / height)
        var size: png_alloc_size_t = 0
        guard png_image_write_to_memory(&header, nil, &size, 0, pixels, stride, nil) != 0 else {
            throw .unencodable(reason: message(of: header))
        }
        var data = Data(count: Int(size))
        let isWritten = data.withUnsafeMutableBytes {
            png_image_write_to_memory(&header, $0.baseAddress, &size, 0, pixels, stride, nil)
        }
        guard isWritten != 0 else { throw .unencodable(reason: message(of: header)) }
        return data.prefix(Int(size))
    }

    /// Writes the file, which is replaced whole or, if writing fails, left as it was.
    func write(to file: URL) throws(FigureError) {
        let data = try encoded()
        do { try AtomicFile.write(data, to: file) } catch {
            throw .unwritable(file: file, reason: error.explanation)
        }
    }

    private func message(of header: png_image) -> String {
        withUnsafeBytes(of: header.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
