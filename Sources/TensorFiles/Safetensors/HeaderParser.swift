import VoxelSupport

/// Reads a safetensors header's JSON, one tensor at a time.
struct HeaderParser {
    /// What the header says of one tensor.
    struct Tensor {
        let name: JSONScanner.Text
        let type: TensorType
        let shape: [Int]
        /// Where the shape begins in the JSON.
        let shapePlace: Int
        let offsets: [Int]
    }

    /// The file's own text, as far as it has been read.
    private(set) var metadata: [String: String] = [:]

    private(set) var scanner: JSONScanner
    private var hasMetadata = false
    private var count = 0
    /// What is being read, for errors.
    private var member: JSONScanner.Text?
    private var field: String?

    /// Begins with a header, which must be text in UTF-8.
    init(json: UnsafeRawBufferPointer) throws(SafetensorsError.Problem) {
        guard json.first == UInt8(ascii: "{") else { throw .header(reason: "it does not begin with '{'") }
        guard json.isUTF8 else { throw .header(reason: "it is not text in UTF-8") }
        scanner = JSONScanner(json).moved(to: 1)
    }

    /// The next tensor, or nil after the last, at the end of the text.
    mutating func next() throws(SafetensorsError.Problem) -> Tensor? {
        do { return try nextTensor() } catch let problem as SafetensorsError.Problem { throw problem } catch {
            let place = [member.map(scanner.string), field].compactMap { $0.map { "'\($0.shortened)'" } }
                .joined(separator: " ")
            throw .header(reason: "\(place.isEmpty ? "the JSON" : place): \(error)")
        }
    }

    private mutating func nextTensor() throws -> Tensor? {
        while true {
            (member, field) = (nil, nil)
            guard try scanner.hasNext(first: count == 0 && !hasMetadata, closing: "}") else { break }
            let name = try scanner.name()
            member = name
            try scanner.expect("{")
            guard scanner.isEqual(name, to: SafetensorsHeader.metadataField) else { return try tensor(name) }
            try readMetadata()
        }
        guard scanner.peek() == nil else { throw scanner.failure("nothing more") }
        return nil
    }

    private mutating func readMetadata() throws {
        guard !hasMetadata else {
            throw SafetensorsError.Problem.duplicateName(SafetensorsHeader.metadataField)
        }
        hasMetadata = true
        while try scanner.hasNext(first: metadata.isEmpty, closing: "}") {
            let (name, value) = (try scanner.name(), try scanner.text())
            guard metadata.count < SafetensorsHeader.mostMetadata else {
                throw scanner.failure("at most \(SafetensorsHeader.mostMetadata) fields")
            }
            guard metadata.updateValue(scanner.string(value), forKey: scanner.string(name)) == nil else {
                throw SafetensorsError.Problem.duplicateName(scanner.string(name))
            }
        }
    }

    /// The three fields of a tensor, in any order.
    private mutating func tensor(_ name: JSONScanner.Text) throws -> Tensor {
        count += 1
        guard count <= SafetensorsHeader.mostTensors else {
            throw scanner.failure("at most \(SafetensorsHeader.mostTensors) tensors")
        }
        var type: TensorType?
        var (shape, offsets): ([Int]?, [Int]?)
        var shapePlace = 0
        while try scanner.hasNext(first: type == nil && shape == nil && offsets == nil, closing: "}") {
            let name = try scanner.name()
            let found = ["dtype", "shape", "data_offsets"].first { scanner.isEqual(name, to: $0) }
            field = found ?? scanner.string(name)
            let isSecond: Bool
            switch found {
            case "dtype":
                isSecond = type != nil
                type = try readType()
            case "shape":
                isSecond = shape != nil
                _ = scanner.peek()
                shapePlace = scanner.place
                shape = try scanner.integers(atMost: SafetensorsHeader.mostAxes)
            case "data_offsets":
                isSecond = offsets != nil
                offsets = try scanner.integers(atMost: SafetensorsHeader.mostAxes)
            default: throw scanner.failure("no field but 'dtype', 'shape' and 'data_offsets'")
            }
            guard !isSecond else { throw SafetensorsError.Problem.duplicateName(scanner.string(name)) }
        }
        field = nil
        guard let type, let shape, let offsets else {
            let missing = type == nil ? "dtype" : shape == nil ? "shape" : "data_offsets"
            throw scanner.failure("the field '\(missing)'")
        }
        return Tensor(name: name, type: type, shape: shape, shapePlace: shapePlace, offsets: offsets)
    }

    private mutating func readType() throws -> TensorType {
        let text = try scanner.text()
        guard let type = TensorType.allCases.first(where: { scanner.isEqual(text, to: $0.rawValue) }) else {
            throw SafetensorsError.Problem.unsupportedType(
                tensor: member.map(scanner.string) ?? "", type: scanner.string(text))
        }
        return type
    }
}

extension JSONScanner {
    /// Skips the name of a member and its colon.
    fileprivate mutating func name() throws(Failure) -> Text {
        let name = try text()
        try expect(":")
        return name
    }
}
