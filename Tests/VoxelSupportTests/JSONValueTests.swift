import Foundation
import Testing
import VoxelSupport

private struct Settings: Codable, Equatable {
    enum Kind: String, CaseIterable, Codable { case linear, cosine }

    struct Inner: Codable, Equatable {
        var kind = Kind.linear
        var limit: Double?
        var sizes = [1, 2]

        enum CodingKeys: String, CodingKey {
            case kind
            case limit = "upper_limit"
            case sizes
        }
    }

    var inner = Inner()
    var steps = 10
    var seed: UInt64 = 1
    var rate = 0.5
    var isFlipped = true
    var name = "none"
}

/// Settings that are given in part, and what is said of those that are wrong.
struct JSONValueTests {
    private func read(_ text: String) throws -> Settings {
        try JSONValue(parsing: Data(text.utf8)).decode(over: Settings())
    }

    @Test func whatIsMissingIsTheDefault() throws {
        #expect(try read("{}") == Settings())
        var expected = Settings()
        expected.inner.kind = .cosine
        expected.inner.limit = 3
        expected.rate = 2
        #expect(try read(#"{"inner": {"kind": "cosine", "upper_limit": 3}, "rate": 2}"#) == expected)
    }

    @Test func aDefaultCanBeReplacedByNull() throws {
        var defaults = Settings()
        defaults.inner.limit = 3
        let json = try JSONValue(parsing: Data(#"{"inner": {"upper_limit": null}}"#.utf8))
        #expect(try json.decode(over: defaults) == Settings())
    }

    @Test func numbersAreExact() throws {
        let read = try read(
            #"{"seed": 18446744073709551615, "rate": 0.1, "steps": 1e3, "inner": {"sizes": [-9223372036854775808]}}"#
        )
        #expect(read.seed == .max && read.rate == 0.1 && read.steps == 1000 && read.inner.sizes == [.min])
    }

    @Test func whatIsWrittenIsRead() throws {
        var settings = Settings()
        settings.inner.limit = 1 / 3
        settings.seed = .max
        let json = try settings.sortedJSON(prettyPrinted: true)
        #expect(try JSONValue(parsing: json).decode(Settings.self) == settings)
        #expect(try settings.sortedJSON() == settings.sortedJSON())
    }

    @Test(arguments: [
        (
            #"{"step": 5}"#,
            "step: found an unknown field; expected one of inner, isFlipped, name, rate, seed, steps"
        ),
        (
            #"{"inner": {"limit": 5}}"#,
            "inner.limit: found an unknown field; expected one of kind, sizes, upper_limit"
        ),
        (#"{"steps": "5"}"#, #"steps: found "5"; expected a whole number"#),
        (#"{"steps": 5.5}"#, "steps: found 5.5; expected a whole number"),
        (#"{"steps": 1e30}"#, "steps: found 1e+30; expected a whole number"),
        (#"{"steps": null}"#, "steps: found null; expected a whole number"),
        (#"{"seed": -1}"#, "seed: found -1; expected a whole number from 0 to 18446744073709551615"),
        (#"{"rate": true}"#, "rate: found true; expected a number"),
        (#"{"rate": 1e400}"#, "rate: found a number that Double cannot represent; expected a number"),
        (#"{"isFlipped": 1}"#, "isFlipped: found 1; expected true or false"),
        (#"{"name": []}"#, "name: found an array; expected a string"),
        (#"{"inner": 5}"#, "inner: found 5; expected an object"),
        (#"{"inner": {"kind": "sine"}}"#, #"inner.kind: found "sine"; expected one of linear, cosine"#),
        (#"{"inner": {"kind": 5}}"#, "inner.kind: found 5; expected one of linear, cosine"),
        (#"{"inner": {"sizes": {}}}"#, "inner.sizes: found an object; expected an array"),
        (#"{"inner": {"sizes": [1, "2"]}}"#, #"inner.sizes[1]: found "2"; expected a whole number"#),
        (#"{"inner": {"upper_limit": "1"}}"#, #"inner.upper_limit: found "1"; expected a number"#),
        ("[]", "found an array; expected an object"),
    ])
    func errorsNameTheField(text: String, message: String) {
        let error = #expect(throws: JSONFieldError.self) { try read(text) }
        #expect(error?.description == message)
        #expect(error?.errorDescription == message)
    }

    @Test(arguments: ["", "{", #"{"steps": }"#]) func whatIsNotJSONIsAnError(text: String) {
        let error = #expect(throws: JSONFieldError.self) { try read(text) }
        #expect(error?.description.hasPrefix("found text that is not valid JSON") == true)
    }

    @Test func aWholeValueNeedsEveryField() throws {
        let json = try JSONValue(parsing: Data(#"{"kind": "linear", "note": 1}"#.utf8))
        let error = #expect(throws: JSONFieldError.self) { try json.decode(Settings.Inner.self) }
        #expect(error?.description == "sizes: found no such field; expected an array")
        var complete = json
        complete["sizes"] = .array([])
        #expect(try complete.decode(Settings.Inner.self, allowsUnknownFields: true).sizes == [])
        #expect(throws: JSONFieldError.self) { try complete.decode(Settings.Inner.self) }
    }

    @Test func aMissingFileIsAnError() {
        #expect(throws: JSONFieldError.self) { try JSONValue(contentsOf: URL(filePath: "/nowhere/a.json")) }
    }

    /// A type that decodes itself, and takes errors other than `DecodingError` for those of Foundation.
    @Test func errorsAreDecodingErrorsForTypesThatDecodeThemselves() throws {
        struct Wrapper: Decodable {
            enum CodingKeys: String, CodingKey { case steps }

            init(from decoder: any Decoder) throws {
                let fields = try decoder.container(keyedBy: CodingKeys.self)
                #expect(throws: DecodingError.self) { try fields.decode(Int.self, forKey: .steps) }
                _ = try fields.decode(Int.self, forKey: .steps)
            }
        }
        let json = try JSONValue(parsing: Data(#"{"steps": "5"}"#.utf8))
        let error = #expect(throws: JSONFieldError.self) { try json.decode(Wrapper.self) }
        #expect(error?.description == #"steps: found "5"; expected a whole number"#)
    }
}
