import Foundation
import Networks

/// Some fields of a configuration: what a file or a program says where the rest shows in the weights.
struct StatedConfiguration: Decodable {
    private typealias Field = UNetConfiguration.CodingKeys

    /// The file that says it, for errors.
    private(set) var file: String?

    private var fields: [UNetConfiguration.CodingKeys: (inout UNetConfiguration) -> Void] = [:]

    /// All fields.
    init(_ configuration: UNetConfiguration) {
        for field in Field.allCases { fields[field] = { $0 = configuration } }
    }

    /// The fields in a JSON file.
    ///
    /// - Throws: `UNetConfigurationError` naming the file and the field that is wrong.
    init(contentsOf url: URL) throws {
        let json: Data
        do { json = try Data(contentsOf: url) } catch {
            throw UNetConfigurationError(
                file: url.path, field: nil, found: error.localizedDescription, expected: "a readable file")
        }
        try self.init(json: json, file: url.path)
    }

    /// The fields in a JSON text that a file holds.
    ///
    /// - Throws: `UNetConfigurationError` naming the file and the field that is wrong.
    init(json: Data, file: String) throws {
        do { self = try JSONDecoder().decode(Self.self, from: json) } catch let error as DecodingError {
            throw UNetConfigurationError(decoding: error, file: file)
        }
        self.file = file
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: UNetConfiguration.CodingKeys.self)
        var fields: [UNetConfiguration.CodingKeys: (inout UNetConfiguration) -> Void] = [:]
        func take<Value: Decodable>(
            _ field: UNetConfiguration.CodingKeys, _ set: @escaping (inout UNetConfiguration, Value) -> Void
        ) throws {
            guard container.contains(field) else { return }
            let value: Value = try container.decodeField(field)
            fields[field] = { set(&$0, value) }
        }
        try take(.inputChannels) { $0.inputChannels = $1 }
        try take(.outputChannels) { $0.outputChannels = $1 }
        try take(.modelChannels) { $0.modelChannels = $1 }
        try take(.residualBlocks) { $0.residualBlocks = $1 }
        try take(.channelMultipliers) { $0.channelMultipliers = $1 }
        try take(.attentionResolutions) { $0.attentionResolutions = $1 }
        try take(.headChannels) { $0.headChannels = $1 }
        try take(.usesScaleShiftNorm) { $0.usesScaleShiftNorm = $1 }
        try take(.usesResidualResampling) { $0.usesResidualResampling = $1 }
        try take(.usesSpatialTransformer) { $0.usesSpatialTransformer = $1 }
        try take(.contextWidth) { $0.contextWidth = $1 }
        self.fields = fields
    }

    /// Channels of one attention head, where they are stated.
    var headChannels: Int? { fields[.headChannels].map { _ in complete(UNetConfiguration()).headChannels } }

    /// The configuration, where all of it is stated; `context_dim` may be left out.
    var whole: UNetConfiguration? {
        let missing = Set(Field.allCases).subtracting(fields.keys)
        var rest = UNetConfiguration()
        rest.contextWidth = nil
        return missing.isSubset(of: [.contextWidth]) ? complete(rest) : nil
    }

    /// What is stated, and for the rest another configuration.
    func complete(_ rest: UNetConfiguration) -> UNetConfiguration {
        fields.values.reduce(into: rest) { $1(&$0) }
    }

    /// Checks that a configuration made of what is stated is valid.
    ///
    /// - Throws: `UNetConfigurationError` naming the file and the field.
    func validate(_ configuration: UNetConfiguration) throws(UNetConfigurationError) {
        do { try configuration.validate() } catch {
            throw UNetConfigurationError(
                file: file, field: error.field, found: error.found, expected: error.expected)
        }
    }

    /// Checks that nothing is stated but what is known otherwise.
    ///
    /// - Parameters:
    ///   - known: the configuration otherwise.
    ///   - reason: how it is known, to end an error: "which ...".
    /// - Throws: `UNetConfigurationError` naming the first field that differs.
    func check(against known: UNetConfiguration, reason: String) throws {
        let stated = complete(known)
        for field in Field.allCases where fields[field] != nil {
            let (found, expected) = (stated.text(of: field), known.text(of: field))
            guard found == expected else {
                throw UNetConfigurationError(
                    file: file, field: field.rawValue, found: found, expected: "\(expected), \(reason)")
            }
        }
    }
}

extension UNetConfiguration {
    /// What a field says, in one way where there are several to say the same.
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
        // A single level is joined to none.
        case .usesResidualResampling: channelMultipliers.count == 1 ? "either" : "\(usesResidualResampling)"
        case .usesSpatialTransformer: "\(usesSpatialTransformer)"
        case .contextWidth: contextWidth.map { "\($0)" } ?? "null"
        }
    }

    /// The down-sampling factors of the levels that have attention, the middle aside.
    private var attendedFactors: [Int] {
        channelMultipliers.indices.prefix(32).map { 1 << $0 }.filter(attentionResolutions.contains)
    }
}
