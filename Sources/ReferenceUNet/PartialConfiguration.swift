import Foundation
import Networks
import VoxelSupport

/// Some fields of a configuration, from a file or a program; the weights show the others.
struct PartialConfiguration {
    private typealias Field = UNetConfiguration.CodingKeys

    /// The file, for errors.
    private let file: String?

    /// A JSON object.
    private var fields: JSONValue

    /// All fields.
    init(_ configuration: UNetConfiguration) throws {
        (file, fields) = (nil, try JSONValue(encoding: configuration))
        if configuration.contextWidth == nil { fields[Field.contextWidth.rawValue] = .null }
    }

    /// The fields in a JSON file.
    ///
    /// - Throws: `NetworkConfigurationError` naming the file and the invalid field.
    init(contentsOf url: URL) throws {
        try self.init(file: url.path) { () throws(JSONFieldError) in try JSONValue(contentsOf: url) }
    }

    /// The fields in a JSON text inside a file.
    ///
    /// - Throws: `NetworkConfigurationError` naming the file and the invalid field.
    init(json: Data, file: String) throws {
        try self.init(file: file) { () throws(JSONFieldError) in try JSONValue(parsing: json) }
    }

    private init(file: String, read: () throws(JSONFieldError) -> JSONValue) throws {
        self.file = file
        do {
            fields = try read()
            _ = try complete(UNetConfiguration())
        } catch let error as JSONFieldError {
            throw NetworkConfigurationError(error, file: file)
        }
    }

    /// Channels of one attention head, if they are stated.
    var headChannels: Int? {
        get throws { try fields[Field.headChannels.rawValue]?.decode(Int.self) }
    }

    /// The configuration, if all of it is stated; `context_dim` may be missing.
    var whole: UNetConfiguration? {
        try? fields.decode(UNetConfiguration.self, allowsUnknownFields: true)
    }

    /// The stated fields, and the others of another configuration.
    func complete(_ rest: UNetConfiguration) throws -> UNetConfiguration {
        try fields.decode(over: rest, allowsUnknownFields: true)
    }

    /// Validates a configuration that was completed from the stated fields.
    ///
    /// - Throws: `NetworkConfigurationError` naming the file and the invalid field.
    func validate(_ configuration: UNetConfiguration) throws(NetworkConfigurationError) {
        do { try configuration.validate() } catch {
            var error = error
            error.file = file
            throw error
        }
    }

    /// Checks that the stated fields equal those of a known configuration.
    ///
    /// - Parameters:
    ///   - known: the configuration.
    ///   - reason: how it is known, the end of the error's text.
    /// - Throws: `NetworkConfigurationError` naming the first field that differs.
    func check(against known: UNetConfiguration, reason: String) throws {
        let stated = try complete(known)
        for field in Field.allCases where fields[field.rawValue] != nil {
            let (found, expected) = (stated.text(of: field), known.text(of: field))
            guard found == expected else {
                throw NetworkConfigurationError(
                    file: file, field: field.rawValue, found: found, expected: "\(expected), \(reason)")
            }
        }
    }
}

extension UNetConfiguration {
    /// A field as text, the same for all values that mean the same.
    fileprivate func text(of field: CodingKeys) -> String {
        switch field {
        case .inputChannels: "\(inputChannels)"
        case .outputChannels: "\(outputChannels)"
        case .modelChannels: "\(modelChannels)"
        case .residualBlocks: "\(residualBlocks)"
        case .channelMultipliers: "\(channelMultipliers)"
        case .attentionResolutions: "\(attendedFactors), of the levels that there are"
        case .headChannels: "\(headChannels)"
        case .usesScaleShiftNorm: "\(usesScaleShiftNorm)"
        // There is no resampling between fewer than two levels.
        case .usesResidualResampling: channelMultipliers.count == 1 ? "either" : "\(usesResidualResampling)"
        case .usesSpatialTransformer: "\(usesSpatialTransformer)"
        case .contextWidth: contextWidth.map { "\($0)" } ?? "null"
        }
    }

    /// The down-sampling factors of the levels with attention, not counting the middle.
    private var attendedFactors: [Int] {
        channelMultipliers.indices.prefix(32).map { 1 << $0 }.filter(attentionResolutions.contains)
    }
}
