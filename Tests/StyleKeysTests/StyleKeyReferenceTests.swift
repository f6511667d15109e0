import StyleKeys
import TensorFiles
import TestSupport
import Testing
import VolumeIO
import Volumes

/// Against keys that NumPy computed.
@Suite(.enabled(if: Fixtures.hasReference && Fixtures.hasData, Fixtures.missingReference))
struct StyleKeyReferenceTests {
    @Test(arguments: [128, 32])
    func agreesWithNumPy(bins: Int) throws {
        let file = try Safetensors(contentsOf: Fixtures.reference("style_key_colin27.safetensors"))
        let expected = try file.tensor("key_\(bins)")
        try #require(expected.shape == [3, bins])
        let volume = try Volume(contentsOf: Fixtures.data("colin27_t1_2mm.nii.gz"))
        let key = try StyleKey(of: volume, bins: bins, intensities: RescaleIntensity(.minMax))
        for (token, values) in [key.histogram, key.cumulative, key.difference].enumerated() {
            let row = expected.values[token * bins..<(token + 1) * bins]
            #expect(relativeL2(values, row) < 1e-6, "token \(token)")
        }
    }

    @Test func oneContrastIsNearerToItselfThanToAnother() throws {
        func key(_ name: String) throws -> StyleKey {
            try StyleKey(of: Volume(contentsOf: Fixtures.data("\(name).nii.gz")))
        }
        let (colin, t1) = (try key("colin27_t1_2mm"), try key("avg152_t1_2mm"))
        #expect(try colin.distance(to: t1) < colin.distance(to: key("ct_template_2mm")))
    }
}
