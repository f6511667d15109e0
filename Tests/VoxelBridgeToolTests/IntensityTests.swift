import Foundation
import TestSupport
import Testing
import VolumePhantoms
import VoxelBridge

/// How commands scale intensities, and what they warn of.
struct IntensityTests {
    private let phantom = Volume.brainPhantom(on: VoxelGrid(shape: [26, 30, 22], spacing: [2.5, 2.5, 2.5]))

    /// A folder with a CT of a head, its stripped brain in the window of 0 to 80 HU, and its T1.
    private func withHead(_ body: (URL) async throws -> Void) async throws {
        let head = PhantomCohort(seed: 8, shape: [62, 74, 74], spacing: 3.3, source: .head).subject(1)
        let brain = PhantomCohort(seed: 8, shape: [62, 74, 74], spacing: 3.3, source: .brain).subject(1)
        try await withTemporaryFolder { folder in
            try head.source.write(to: folder.appending(path: "head.nii"))
            try brain.source.write(to: folder.appending(path: "brain.nii"))
            try head.target.write(to: folder.appending(path: "t1.nii"))
            try head.mask.write(to: folder.appending(path: "mask.nii"))
            try await body(folder)
        }
    }

    private func translate(_ folder: URL, _ source: String, _ options: [String]) async throws -> Tool.Outcome {
        func path(_ name: String) -> String { folder.appending(path: name).path }
        return try await Tool.run(
            ["translate", path(source), path("out.nii"), "--model", "histogram", "--style", path("t1.nii")]
                + ["--spacing", "4"] + options)
    }

    /// A raw CT with its window and mask gives what its stripped, windowed version gives.
    @Test func aRawCTIsTranslatedAsItsBrainIs() async throws {
        try await withHead { folder in
            func result(_ source: String, _ options: String...) async throws -> [Float] {
                let outcome = try await translate(folder, source, ["--window", "0,80"] + options)
                try #require(outcome.status == 0, "\(outcome.messages)")
                #expect(!outcome.messages.contains("Warning"), "\(outcome.messages)")
                return try Volume(contentsOf: folder.appending(path: "out.nii")).voxels
            }
            let stripped = try await result("brain.nii")
            let mask = folder.appending(path: "mask.nii").path
            #expect(largestDifference(try await result("head.nii", "--mask", mask), stripped) < 1e-3)
            let found = try await result("head.nii", "--mask", "brain")
            let isBrain = try Volume(contentsOf: folder.appending(path: "mask.nii")).voxels
            let both = zip(zip(found, stripped), isBrain).filter { $1 > 0 && $0.0 > 0 }.map(\.0)
            #expect(relativeL2(both.map(\.0), both.map(\.1)) < 0.1)

            let whole = try await translate(folder, "head.nii", [])
            #expect(whole.status == 0)
            for warning in ["head.nii: this is a CT in HU", "head.nii: this is a whole head"] {
                #expect(whole.messages.contains(warning), "\(whole.messages)")
            }
        }
    }

    @Test func masksAreWritten() async throws {
        try await withHead { folder in
            func path(_ name: String) -> String { folder.appending(path: name).path }
            let brain = try await Tool.succeed("mask", path("head.nii"), path("m.nii"))
            #expect(brain.messages.contains(" ml"))
            let truth = try Volume(contentsOf: folder.appending(path: "mask.nii"))
            let found = try Volume(contentsOf: folder.appending(path: "m.nii"))
            #expect(found.grid == truth.grid && found.voxels.allSatisfy { $0 == 0 || $0 == 1 })
            let both = zip(found.voxels, truth.voxels).reduce(0) { $0 + $1.0 * $1.1 }
            #expect(2 * both / (found.voxels.reduce(0, +) + truth.voxels.reduce(0, +)) > 0.96)
            for method in ["foreground", "otsu"] {
                try await Tool.succeed(
                    "mask", path("t1.nii"), path("m.nii"), "--method", method, "--largest-component",
                    "--fill-holes")
                #expect(try Volume(contentsOf: folder.appending(path: "m.nii")).intensityRange == 0...1)
            }
            let none = try await Tool.run(["mask", path("t1.nii"), path("m.nii")])
            #expect(none.status == 1 && none.messages.contains("t1.nii: no brain was found in the CT"))
        }
    }

    /// The style of a volume, and a source, do not depend on one voxel.
    @Test func oneHotVoxelDoesNotMatter() async throws {
        try await withTemporaryFolder { folder in
            func path(_ name: String) -> String { folder.appending(path: name).path }
            var hot = phantom
            hot.voxels[hot.voxels.firstIndex { $0 > 60 }!] = 1e6
            try phantom.write(to: folder.appending(path: "a.nii"))
            try hot.write(to: folder.appending(path: "hot.nii"))
            let keys = try await ["a.nii", "hot.nii"].asyncMap { name in
                let output = try await Tool.succeed("key", path(name), "--bins", "16").output
                return try JSONDecoder().decode(StyleKey.self, from: Data(output.utf8))
            }
            #expect(try keys[0].distance(to: keys[1]) < 0.002)
            let warned = try await Tool.succeed("key", path("hot.nii"), "--intensities", "min-max")
            #expect(warned.messages.contains("Warning: \(path("hot.nii")): a handful of voxels"))

            // A key's histogram is a rule, too.
            try keys[0].write(to: folder.appending(path: "key.json"))
            try await Tool.succeed(
                "preprocess", path("hot.nii"), path("p.nii"), "--spacing", "4", "--intensities",
                "match:\(path("key.json"))")
            #expect(try Volume(contentsOf: folder.appending(path: "p.nii")).intensityRange.upperBound <= 1)
        }
    }

    @Test func optionsThatAreWrongAreRefused() async throws {
        try await withTemporaryFolder { folder in
            let a = folder.appending(path: "a.nii").path
            try phantom.write(to: folder.appending(path: "a.nii"))
            try Volume(grid: VoxelGrid(shape: [3, 3, 3])).write(to: folder.appending(path: "small.nii"))
            let cases = [
                (["--window", "80,0"], 2, "two numbers, the lower first"),
                (["--intensities", "minmax"], 2, "one of window:LOW,HIGH"),
                (["--window", "brain", "--intensities", "min-max"], 2, "cannot be used together"),
                (["--mask", "brain", "--background", "-1000"], 2, "cannot be used together"),
                (["--background", "dark"], 2, "below:NUMBER"),
                (["--mask", "nowhere.nii"], 1, "there is no such file; give a mask, or one of brain"),
                (["--mask", folder.appending(path: "small.nii").path], 1, "the mask is not on the grid of"),
            ]
            for (options, status, message) in cases {
                let outcome = try await Tool.run(
                    ["preprocess", a, folder.appending(path: "p.nii").path] + options)
                #expect(
                    Int(outcome.status) == status && outcome.messages.contains(message), "\(outcome.messages)")
            }
            try await Tool.succeed(
                "preprocess", a, folder.appending(path: "p.nii").path, "--window", "-20,80", "--background",
                "below:-5")
            let raw = try await Tool.run(
                [
                    "translate", a, folder.appending(path: "p.nii").path, "--model", "histogram", "--style", a,
                    "--raw",
                ]
                    + ["--window", "0,80"])
            #expect(raw.status == 2 && raw.messages.contains("--raw takes intensities as they are"))
        }
    }

    /// The demonstration network states what it was trained on.
    @Test func theDemonstrationNetworkStatesItsRules() async throws {
        let model = Fixtures.packageRoot.appending(path: "Examples/CTToMRI/Model/ct-to-t1.safetensors").path
        let outcome = try await Tool.succeed("info", model)
        #expect(outcome.output.contains("source                   window:0,80"))
        #expect(outcome.output.contains("target                   min-max"))
    }
}

extension Array {
    fileprivate func asyncMap<Result>(_ transform: (Element) async throws -> Result) async rethrows -> [Result]
    {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
