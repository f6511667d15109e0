import Foundation
import Networks
import TestSupport
import Testing

struct UNetConfigurationTests {
    private static let published = """
        { "in_channels": 6, "out_channels": 3, "model_channels": 128, "num_res_blocks": 2,
          "channel_mult": [1, 4, 8], "attention_resolutions": [32, 16, 8], "num_head_channels": 64,
          "use_scale_shift_norm": true, "resblock_updown": true, "use_spatial_transformer": true,
          "context_dim": 128 }
        """

    @Test func thePublishedConfiguration() throws {
        let configuration = try read(Self.published)
        #expect(configuration == .ct2mri)
        #expect(configuration.radius == 1)
        #expect(configuration.sizeMultiple == 4)
        let again = try JSONDecoder().decode(
            UNetConfiguration.self, from: JSONEncoder().encode(configuration))
        #expect(again == configuration)
    }

    @Test func contextMayBeNullOrLeftOutWithoutTransformer() throws {
        let without = Self.published.replacing(
            "\"use_spatial_transformer\": true", with: "\"use_spatial_transformer\": false")
        for replacement in ["", ", \"context_dim\": null"] {
            let text = without.replacing(",\n  \"context_dim\": 128", with: replacement)
            #expect(text != without)
            #expect(try read(text).contextWidth == nil)
        }
    }

    @Test(arguments: [
        ("out_channels", "4"), ("out_channels", "-1"), ("out_channels", "9223372036854775807"),
        ("out_channels", "5"), ("in_channels", "7"), ("in_channels", "-6"), ("in_channels", "6.5"),
        ("model_channels", "100"), ("model_channels", "0"), ("model_channels", "9223372036854775776"),
        ("model_channels", "\"128\""), ("num_res_blocks", "0"), ("num_res_blocks", "1000000000"),
        ("channel_mult", "[]"), ("channel_mult", "[1, 0]"), ("channel_mult", "[1, 9223372036854775807]"),
        ("channel_mult", "[1,1,1,1,1,1,1,1,1]"), ("channel_mult", "4"), ("attention_resolutions", "[0]"),
        ("attention_resolutions", "[null]"), ("num_head_channels", "0"), ("num_head_channels", "-64"),
        ("num_head_channels", "96"), ("use_scale_shift_norm", "1"), ("resblock_updown", "null"),
        ("use_spatial_transformer", "false"), ("context_dim", "0"), ("context_dim", "1e12"),
        ("context_dim", "null"),
    ])
    func invalidFieldsAreNamed(field: String, value: String) throws {
        let pattern = try Regex("\"\(field)\": (\\[.*?\\]|[a-z0-9]+)")
        let text = Self.published.replacing(pattern, with: "\"\(field)\": \(value)")
        #expect(text != Self.published)
        let error = #expect(throws: NetworkConfigurationError.self) { try read(text) }
        // Of two fields that contradict each other, the second is named.
        let named = [
            "out_channels 5": "in_channels", "use_spatial_transformer false": "context_dim",
            "attention_resolutions [null]": "attention_resolutions[0]",
        ]
        #expect(error?.field == named["\(field) \(value)"] ?? field)
        #expect(error?.file?.hasSuffix("unet.json") == true)
    }

    @Test func missingFieldsAreNamed() {
        let error = #expect(throws: NetworkConfigurationError.self) {
            try read(Self.published.replacing("\"num_res_blocks\": 2,", with: ""))
        }
        #expect(error?.field == "num_res_blocks")
    }

    @Test(arguments: ["", "{", "[]", "null", "{\"in_channels\": 6", "\u{0}"])
    func textThatIsNotAConfigurationIsRejected(text: String) {
        let error = #expect(throws: NetworkConfigurationError.self) { try read(text) }
        #expect(error?.file != nil)
    }

    @Test func aMissingFileIsNamed() {
        let url = URL(filePath: "/nowhere/unet.json")
        let error = #expect(throws: NetworkConfigurationError.self) { try UNetConfiguration(contentsOf: url) }
        #expect(error?.description.contains("/nowhere/unet.json") == true)
    }

    private func read(_ text: String) throws -> UNetConfiguration {
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "unet.json")
            try Data(text.utf8).write(to: url)
            return try UNetConfiguration(contentsOf: url)
        }
    }
}
