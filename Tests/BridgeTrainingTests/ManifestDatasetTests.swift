import BridgeTraining
import Foundation
import Preprocessing
import StyleKeys
import TestSupport
import Testing
import VolumeIO

/// The data of a manifest: what becomes of volumes.
struct ManifestDatasetTests {
    private static let grid = VoxelGrid(shape: [24, 30, 20], spacing: [2, 2, 2])

    private var configuration: TrainingConfiguration {
        var configuration = TrainingConfiguration()
        configuration.data.spacing = 2
        (configuration.data.source, configuration.data.target) = (.percentiles(), .minMax)
        return configuration
    }

    /// A folder with a training subject that lies in the middle of its grid and a smaller validation subject.
    private func withSubjects(_ body: (URL) throws -> Void) throws {
        try withTemporaryFolder { folder in
            let brain = Volume.brainPhantom(on: Self.grid, radii: [18, 22, 15])
            try brain.write(to: folder.appending(path: "ct.nii"))
            try brain.map { $0 > 0 ? 140 - $0 : 0 }.write(to: folder.appending(path: "t1.nii"))
            let small = Volume.brainPhantom(on: Self.grid, radii: [12, 14, 10])
            try small.write(to: folder.appending(path: "small.nii"))
            try Data(
                """
                subject,split,source,target
                anna,train,ct.nii,t1.nii
                ben,validation,small.nii,small.nii
                """.utf8
            ).write(to: folder.appending(path: "pairs.csv"))
            try body(folder)
        }
    }

    private func prepare(
        _ folder: URL, _ configuration: TrainingConfiguration
    ) throws -> (training: ManifestDataset, validation: ManifestDataset?) {
        try ManifestDataset.prepare(
            Manifest(contentsOf: folder.appending(path: "pairs.csv")),
            cache: folder.appending(path: "cache"), configuration: configuration)
    }

    @Test func examplesAreThePreparedSlices() throws {
        try withSubjects { folder in
            let data = try prepare(folder, configuration)
            let (training, validation) = (data.training, try #require(data.validation))
            #expect(training.names == ["anna"] && validation.names == ["ben"])
            // Both have the size of the larger one, in multiples of what the network takes.
            #expect(training.rows == validation.rows && training.columns == validation.columns)
            #expect(training.rows % 4 == 0 && training.columns % 4 == 0)

            let source = try PreprocessingPipeline.brain(spacing: 2)
                .apply(to: Volume(contentsOf: folder.appending(path: "ct.nii"))).volume
            let target = try Volume(contentsOf: folder.appending(path: "t1.nii"))
            let brightest = target.intensityRange.upperBound
            let shape = source.shape
            let (top, left) = ((training.rows - shape.y) / 2, (training.columns - shape.x) / 2)
            let slices = (0..<shape.z).filter { z in source.slice(z).count { $0 > 0 } > 50 }
            #expect(training.count == slices.count)
            for (index, slice) in slices.enumerated() {
                let example = try training.example(at: index)
                #expect(example.style == (try StyleKey(of: target, intensities: RescaleIntensity(.minMax))))
                for position in 0..<3 {
                    let z = slice + position - 1
                    for row in 0..<training.rows {
                        for column in 0..<training.columns {
                            let place = (position * training.rows + row) * training.columns + column
                            let (x, y) = (column - left, row - top)
                            let isInside =
                                (0..<shape.x).contains(x) && (0..<shape.y).contains(y)
                                && (0..<shape.z).contains(z)
                            try #require(
                                example.source[place] == (isInside ? 2 * source[x, y, z] - 1 : -1))
                            guard isInside else {
                                try #require(example.target[place] == -1)
                                continue
                            }
                            let world = source.grid.world(atVoxel: [Double(x), Double(y), Double(z)])
                            let voxel = target.grid.voxel(atWorld: world).rounded(.toNearestOrAwayFromZero)
                            let value = target[Int(voxel.x), Int(voxel.y), Int(voxel.z)] / brightest
                            try #require(abs(example.target[place] - (2 * value - 1)) < 1e-5)
                        }
                    }
                }
            }
        }
    }

    @Test func volumesArePreparedOnceAndAgainWhereTheyChange() throws {
        try withSubjects { folder in
            let file = folder.appending(path: "cache/anna.safetensors")
            func made() throws -> Int {
                let attributes = try FileManager.default.attributesOfItem(atPath: file.path)
                return try #require(attributes[.systemFileNumber] as? Int)
            }
            let first = try prepare(folder, configuration)
            let inode = try made()
            let again = try prepare(folder, configuration)
            #expect(try made() == inode)
            #expect(again.training.fingerprint == first.training.fingerprint)

            var coarse = configuration
            coarse.data.spacing = 3
            #expect(try prepare(folder, coarse).training.fingerprint != first.training.fingerprint)
            #expect(try prepare(folder, configuration).training.fingerprint == first.training.fingerprint)

            let before = try made()
            try Volume.brainPhantom(on: Self.grid, white: 90).write(to: folder.appending(path: "t1.nii"))
            #expect(try prepare(folder, configuration).training.fingerprint != first.training.fingerprint)
            #expect(try made() != before)

            let whole = try prepare(folder, configuration).training.fingerprint
            try Data(contentsOf: file).dropLast(100).write(to: file)
            #expect(try prepare(folder, configuration).training.fingerprint == whole)
        }
    }

    @Test func aMaskHidesWhatIsOutside() throws {
        try withSubjects { folder in
            var mask = Volume(grid: Self.grid)
            for z in 0..<20 { for y in 0..<30 { for x in 0..<12 { mask[x, y, z] = 1 } } }
            try mask.write(to: folder.appending(path: "mask.nii"))
            try Data("subject,split,source,target,mask\nanna,train,ct.nii,t1.nii,mask.nii\n".utf8)
                .write(to: folder.appending(path: "pairs.csv"))
            let masked = try prepare(folder, configuration).training
            // Half of the head, and so half of the columns.
            #expect(masked.columns == 12)
            let example = try masked.example(at: masked.count / 2)
            #expect(example.target.contains { $0 > 0 })
        }
    }

    @Test(arguments: [SlicePlane.axial, .coronal, .sagittal])
    func slicesAreThoseOfThePlane(plane: SlicePlane) throws {
        try withSubjects { folder in
            var configuration = configuration
            configuration.data.plane = plane
            let data = try prepare(folder, configuration).training
            let brain = try PreprocessingPipeline.brain(spacing: 2)
                .apply(to: Volume(contentsOf: folder.appending(path: "ct.nii"))).volume.shape
            let size = [data.columns, data.rows].map { ($0 + 3) / 4 }
            let expected =
                switch plane {
                case .axial: [brain.x, brain.y]
                case .coronal: [brain.x, brain.z]
                case .sagittal: [brain.y, brain.z]
                }
            #expect(size == expected.map { ($0 + 3) / 4 })
            #expect(data.leftRightAxis == (plane == .sagittal ? .slices : .columns))
        }
    }

    @Test func slicesWithLittleForegroundArePassedOver() throws {
        try withSubjects { folder in
            let volume = try Volume(contentsOf: folder.appending(path: "t1.nii"))
            let sizes = (0..<volume.shape.z).map { z in volume.slice(z).count { $0 > 0 } }.filter { $0 > 0 }
            try Data("subject,split,source,target\nanna,train,ct.nii,t1.nii\n".utf8)
                .write(to: folder.appending(path: "pairs.csv"))
            for minimum in [0, sizes.min()!, sizes.min()! + 1, sizes.max()! - 1] {
                var configuration = configuration
                configuration.data.minimumForeground = minimum
                #expect(try prepare(folder, configuration).training.count == sizes.count { $0 > minimum })
            }
            var configuration = configuration
            configuration.data.minimumForeground = sizes.max()!
            let error = #expect(throws: ManifestError.self) { try prepare(folder, configuration) }
            #expect(error?.problems.map(\.line) == [2])
        }
    }
}

/// Training sees what translation will see.
struct ManifestIntensityTests {
    private let grid = VoxelGrid(shape: [24, 28, 20], spacing: [3, 3, 3])

    /// A head in HU: a brain in a skull, in noisy air.
    private func head(_ generator: inout SeededGenerator) -> (head: Volume, brain: Volume) {
        let brain = Volume.brainPhantom(on: grid, radii: [24, 30, 20], fluid: 8, white: 29, grey: 38)
        let skull = Volume.brainPhantom(on: grid, radii: [29, 35, 25], fluid: 1100, white: 1100, grey: 1100)
        var head = brain
        for i in head.voxels.indices where brain.voxels[i] == 0 {
            head.voxels[i] =
                skull.voxels[i] > 0 ? skull.voxels[i] : Float.random(in: -1020 ... -980, using: &generator)
        }
        return (head, brain)
    }

    @Test(arguments: [IntensityRule.window(.brain), .percentiles(), .zScore(deviations: 2)])
    func aMaskedHeadIsTheStrippedBrain(rule: IntensityRule) throws {
        var generator = SeededGenerator(seed: 1)
        let (head, brain) = head(&generator)
        try withTemporaryFolder { folder in
            try head.write(to: folder.appending(path: "head.nii"))
            try brain.write(to: folder.appending(path: "brain.nii"))
            // What is outside of the mask does not count, be it not a number.
            var target = brain.map { $0 > 0 ? 900 - 10 * $0 : .nan }
            try target.write(to: folder.appending(path: "t1.nii"))
            target.voxels[grid.offset(12, 14, 9)] = 1e7
            try target.write(to: folder.appending(path: "hot.nii"))
            let table = """
                subject,split,source,target,mask
                anna,train,head.nii,t1.nii,brain.nii
                ben,train,brain.nii,hot.nii,
                """
            try Data(table.utf8).write(to: folder.appending(path: "pairs.csv"))
            var configuration = TrainingConfiguration()
            (configuration.data.spacing, configuration.data.source) = (3, rule)
            let data = try ManifestDataset.prepare(
                Manifest(contentsOf: folder.appending(path: "pairs.csv")),
                cache: folder.appending(path: "cache"),
                configuration: configuration
            ).training
            #expect(data.warnings.isEmpty, "\(data.warnings)")
            let half = data.count / 2
            for slice in 0..<half {
                let (masked, stripped) = (try data.example(at: slice), try data.example(at: half + slice))
                try #require(largestDifference(masked.source, stripped.source) < 0.05)
                // One hot voxel of the target moves no other.
                let moved = zip(masked.target, stripped.target).count { abs($0 - $1) > 0.02 }
                try #require(moved <= 3)
            }
            #expect(try data.example(at: 0).style.distance(to: data.example(at: half).style) < 0.005)
        }
    }

    @Test func whatIsLikelyToBeWrongIsTold() throws {
        var generator = SeededGenerator(seed: 2)
        let (head, brain) = head(&generator)
        try withTemporaryFolder { folder in
            var hot = brain
            hot.voxels[grid.offset(12, 14, 9)] = 1e7
            try head.write(to: folder.appending(path: "head.nii"))
            try hot.write(to: folder.appending(path: "hot.nii"))
            try Data("subject,split,source,target\nanna,train,head.nii,hot.nii\n".utf8)
                .write(to: folder.appending(path: "pairs.csv"))
            var configuration = TrainingConfiguration()
            (configuration.data.spacing, configuration.data.target) = (3, .minMax)
            configuration.data.minimumForeground = 0
            let manifest = try Manifest(contentsOf: folder.appending(path: "pairs.csv"))
            // The second time from the cache.
            for _ in 0..<2 {
                let warnings = try ManifestDataset.prepare(
                    manifest, cache: folder.appending(path: "cache"), configuration: configuration
                ).training.warnings
                #expect(warnings.count == 2)
                #expect(warnings.first?.contains("head.nii: this is a CT in HU") == true)
                #expect(warnings.last?.contains("hot.nii: a handful of voxels") == true)
            }
        }
    }
}
