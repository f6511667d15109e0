import Foundation
import TensorFiles
import TestSupport
import Testing

/// Files that break the format, by design and by chance.
struct HostileSafetensorsTests {
    private typealias Problem = SafetensorsError.Problem

    @Test func eachBreachIsNamed() throws {
        let x = { (fields: String) in "{\"x\":{\(fields)}}" }
        let cases: [(json: String, data: Int, problem: Problem)] = [
            (
                x(#""dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]"#), 1,
                .unsupportedType(tensor: "x", type: "F8_E4M3")
            ),
            (x(#""dtype":"F32","shape":[-1],"data_offsets":[0,4]"#), 4, .shape(tensor: "x", found: [-1])),
            (
                x(#""dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]"#), 0,
                .shape(tensor: "x", found: [1 << 32, 1 << 32, 0])
            ),
            (
                x(#""dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]"#), 0,
                .shape(tensor: "x", found: [1 << 61])
            ),
            (
                x(#""dtype":"F32","shape":[1],"data_offsets":[4,0]"#), 4,
                .offsets(tensor: "x", found: [4, 0], dataLength: 4)
            ),
            (
                x(#""dtype":"F32","shape":[1],"data_offsets":[-4,0]"#), 4,
                .offsets(tensor: "x", found: [-4, 0], dataLength: 4)
            ),
            (
                x(#""dtype":"F32","shape":[2],"data_offsets":[0,8]"#), 4,
                .offsets(tensor: "x", found: [0, 8], dataLength: 4)
            ),
            (
                x(#""dtype":"F32","shape":[1],"data_offsets":[0,4,4]"#), 4,
                .offsets(tensor: "x", found: [0, 4, 4], dataLength: 4)
            ),
            (
                x(#""dtype":"F32","shape":[2],"data_offsets":[0,4]"#), 4,
                .byteCount(tensor: "x", found: 4, expected: 8)
            ),
            (
                x(#""dtype":"U8","shape":[],"data_offsets":[1,2]"#), 2,
                .layout(tensor: "x", begins: 1, expected: 0)
            ),
            (x(#""dtype":"U8","shape":[],"data_offsets":[0,1]"#), 3, .bytesLeftOver(2)),
            (
                #"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#,
                3, .layout(tensor: "b", begins: 1, expected: 2)
            ),
            (
                #"{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"\u0061":{"dtype":"U8","shape":[],"data_offsets":[1,2]}}"#,
                2, .duplicateName("a")
            ),
            (x(#""dtype":"U8","shape":[],"data_offsets":[0,1],"shape":[1]"#), 1, .duplicateName("shape")),
        ]
        for (json, data, problem) in cases {
            let found = try problemOfOpening(safetensorsBytes(json, [UInt8](repeating: 0, count: data)))
            #expect(found == problem, "\(json)")
        }
    }

    @Test(arguments: [
        "", " {}", "[]", "{", "{\"x\":1}", "{\"x\":{}}", "{}}", "nonsense",
        #"{"x":{"dtype":"F32","shape":[0.5],"data_offsets":[0,4]}}"#,
        #"{"x":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}"#,
        #"{"x":{"dtype":"F32","shape":"4","data_offsets":[0,4]}}"#,
        #"{"__metadata__":{"epoch":3}}"#, "{\"a\u{0}\":1}",
    ])
    func headersThatAreNotTheFormats(json: String) throws { try expectHeaderProblem(json) }

    /// No argument of a test, for its half a megabyte would be printed with the test's name.
    @Test func headersNestedTooDeepAreRefused() throws {
        try expectHeaderProblem(String(repeating: "{\"a\":", count: 100_000))
    }

    private func expectHeaderProblem(_ json: String) throws {
        let problem = try problemOfOpening(safetensorsBytes(json, [0, 0, 0, 0]))
        guard case .header = problem else {
            Issue.record("found \(String(describing: problem)) for \(json.prefix(60))")
            return
        }
    }

    @Test(arguments: [
        "shape\":[0.5]", "shape\":[99999999999999999999]", "shape\":4", "shape\":null", "shap\":[]",
    ])
    func fieldsOfTheWrongTypeNameTheirTensor(field: String) throws {
        let json = "{\"bias\":{\"dtype\":\"F32\",\"\(field),\"data_offsets\":[0,4]}}"
        guard case .header(let reason) = try problemOfOpening(safetensorsBytes(json, [0, 0, 0, 0])) else {
            Issue.record("the header passed")
            return
        }
        #expect(reason.contains("'bias'") && reason.contains("'shape'"), "\(reason)")
    }

    @Test func headersThatAreNotUTF8() throws {
        var bytes = safetensorsBytes(#"{"__metadata__":{"a":"b"}}"#, [])
        bytes[26] = 0xFF
        let problem = try problemOfOpening(bytes)
        #expect(problem == .header(reason: "it is not text in UTF-8"))
    }

    @Test(arguments: [0, 1, 7, 8, 9] as [Int])
    func shortFiles(count: Int) throws {
        let bytes = Data([200, 0, 0, 0, 0, 0, 0, 0, 123].prefix(count))
        let found: UInt64 = count < 8 ? 0 : 200
        let problem = try problemOfOpening(bytes)
        #expect(problem == .headerLength(found: found, limit: max(0, count - 8)))
    }

    @Test(arguments: [UInt64.max, 1 << 63, 1 << 40, 100_000_001])
    func hugeHeaders(length: UInt64) throws {
        let bytes = withUnsafeBytes(of: length.littleEndian) { Data($0) } + Data("{}".utf8)
        let problem = try problemOfOpening(bytes)
        #expect(problem == .headerLength(found: length, limit: 2))
    }

    @Test func errorsNameTheFileAndTheTensor() throws {
        let bytes = safetensorsBytes(#"{"x":{"dtype":"C64","shape":[],"data_offsets":[0,8]}}"#, [])
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "file.safetensors")
            try bytes.write(to: url)
            let error = #expect(throws: SafetensorsError.self) { try Safetensors(contentsOf: url) }
            let description = try #require(error?.description)
            for part in [url.path, "'x'", "C64", "BF16"] { #expect(description.contains(part)) }
            #expect(throws: SafetensorsError.self) {
                try Safetensors(contentsOf: folder.appending(path: "missing"))
            }
        }
    }

    private func problemOfOpening(_ bytes: Data) throws -> Problem? {
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "file.safetensors")
            try bytes.write(to: url)
            do {
                _ = try Safetensors(contentsOf: url)
                return nil
            } catch let error as SafetensorsError { return error.problem }
        }
    }
}
