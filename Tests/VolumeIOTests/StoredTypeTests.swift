import Foundation
import Testing
import VolumeIO
import Volumes

@Suite("Stored types") struct StoredTypeTests {
    /// Byte order, version and compression do not change what is read.
    private func expectIntensities<Number>(
        _ numbers: [Number], dataType: Int16, name: String, slope: Double = 0, intercept: Double = 0,
        are expected: [Float], notFinite: Int = 0, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        for version in [1, 2] {
            for isBigEndian in [false, true] {
                for isCompressed in [false, true] {
                    var file = NIfTIBytes(version: version)
                    file.isBigEndian = isBigEndian
                    file.dim = [3, numbers.count, 1, 1, 1, 1, 1, 1]
                    (file.slope, file.intercept) = (slope, intercept)
                    file.set(numbers, dataType: dataType)
                    let read = try withFile(isCompressed ? gzip(file.bytes) : file.bytes) {
                        try VolumeFile(contentsOf: $0)
                    }
                    #expect(
                        read.volume.voxels.map { $0.isNaN ? nil : $0 } == expected.map { $0.isNaN ? nil : $0 },
                        sourceLocation: sourceLocation)
                    #expect(read.notFinite == notFinite, sourceLocation: sourceLocation)
                    #expect(read.header.dataType == name, sourceLocation: sourceLocation)
                    #expect(read.header.version?.rawValue == version, sourceLocation: sourceLocation)
                }
            }
        }
    }

    @Test func integersOfEveryWidth() throws {
        try expectIntensities([0, 1, 255] as [UInt8], dataType: 2, name: "uint8", are: [0, 1, 255])
        try expectIntensities([-128, 1, 127] as [Int8], dataType: 256, name: "int8", are: [-128, 1, 127])
        try expectIntensities(
            [0, 258, 65535] as [UInt16], dataType: 512, name: "uint16", are: [0, 258, 65535])
        try expectIntensities([-32768, 258] as [Int16], dataType: 4, name: "int16", are: [-32768, 258])
        try expectIntensities(
            [16_909_060, .max] as [UInt32], dataType: 768, name: "uint32",
            are: [16_909_060, 4_294_967_296])
        try expectIntensities(
            [.min, 16_909_060] as [Int32], dataType: 8, name: "int32",
            are: [-2_147_483_648, 16_909_060])
        try expectIntensities(
            [1 << 40, .max] as [UInt64], dataType: 1280, name: "uint64",
            are: [1_099_511_627_776, 18_446_744_073_709_551_616])
        try expectIntensities(
            [.min, -3] as [Int64], dataType: 1024, name: "int64",
            are: [-9_223_372_036_854_775_808, -3])
    }

    @Test func floatsOfBothWidths() throws {
        try expectIntensities([-1.5, 3.25e-7] as [Float], dataType: 16, name: "float32", are: [-1.5, 3.25e-7])
        try expectIntensities([-1.5, 0.1] as [Double], dataType: 64, name: "float64", are: [-1.5, 0.1])
    }

    @Test func slopeAndIntercept() throws {
        try expectIntensities(
            [0, 100] as [UInt8], dataType: 2, name: "uint8", slope: 0.5, intercept: -1024,
            are: [-1024, -974])
        try expectIntensities(
            [2, 4] as [Float], dataType: 16, name: "float32", slope: -2, intercept: 1,
            are: [-3, -7])
        // 64 bits hold the product exactly, 32 bits would not.
        try expectIntensities(
            [16_777_217] as [Int32], dataType: 8, name: "int32", slope: 1, intercept: -16_777_216,
            are: [1])
    }

    @Test(arguments: [0, Double.nan, .infinity]) func noScalingWithoutASlope(slope: Double) throws {
        try expectIntensities([7] as [Int16], dataType: 4, name: "int16", slope: slope, intercept: 3, are: [7])
    }

    @Test func voxelsThatAreNotFiniteBecomeNaNAndAreCounted() throws {
        try expectIntensities(
            [.nan, 1, .infinity, -.infinity] as [Float], dataType: 16, name: "float32",
            are: [.nan, 1, .nan, .nan], notFinite: 3)
        // Beyond 32-bit floats, as stored or once scaled.
        try expectIntensities(
            [1e300, 1] as [Double], dataType: 64, name: "float64", are: [.nan, 1], notFinite: 1)
        try expectIntensities(
            [200, 0] as [UInt8], dataType: 2, name: "uint8", slope: 3e38, intercept: 1,
            are: [.nan, 1], notFinite: 1)
    }

    /// So many voxels that the parts of a plain file are read at the same time.
    @Test(arguments: [false, true]) func moreVoxelsThanOneBuffer(isCompressed: Bool) throws {
        var file = NIfTIBytes()
        file.dim = [3, 200, 150, 80, 1, 1, 1, 1]
        file.isBigEndian = true
        (file.slope, file.intercept) = (2, 1)
        file.set((0..<2_400_000).map { Int32($0) }, dataType: 8)
        let volume = try withFile(isCompressed ? gzip(file.bytes) : file.bytes) { try Volume(contentsOf: $0) }
        let expected: [Float] = (0..<2_400_000).map { Float($0) * 2 + 1 }
        #expect(volume.voxels == expected)
        #expect(volume[3, 2, 1] == 60_807)
    }

    /// 32-bit floats hold 24 bits of a number.
    @Test func numbersFarFromZero() throws {
        func read<Number>(_ numbers: [Number], _ dataType: Int16, slope: Double = 0) throws -> VolumeFile {
            var file = NIfTIBytes()
            (file.dim, file.sformCode, file.slope) = ([3, numbers.count, 1, 1, 1, 1, 1, 1], 1, slope)
            file.set(numbers, dataType: dataType)
            return try withFile(file.bytes) { try VolumeFile(contentsOf: $0) }
        }
        let far = Int64(1) << 50
        let error = #expect(throws: VolumeIOError.self) { try read([far, far + 700, far + 900], 1024) }
        #expect(
            error?.reason
                == .indistinct(dataType: "int64", low: 1_125_899_906_842_624, high: 1_125_899_906_843_524))
        #expect(error?.description.contains("1125899906842624 to 1125899906843524") == true)
        #expect(throws: VolumeIOError.self) { try read([1e10, 1e10 + 1], 64) }
        #expect(
            try read([far, far + 1 << 30], 1024).warnings
                == [.coarse(dataType: "int64", low: 0x1p50, high: 0x1p50 + 0x1p30, step: 0x1p27)])
        #expect(try read([100_000_000, 100_000_900] as [Int32], 8).warnings.count == 1)
        // A constant, numbers that 24 bits hold, and a range that is wide enough.
        #expect(try read([far, far], 1024).warnings.isEmpty)
        #expect(try read([16_000_000, 16_000_100] as [Int32], 8).warnings.isEmpty)
        #expect(try read([0, far] as [Int64], 1024, slope: 3).warnings.isEmpty)
        #expect(try read([5.25, 5.75], 64).warnings.isEmpty)
    }

    @Test(arguments: [16, 4096, 1_000_000]) func extensionsAreSkipped(size: Int) throws {
        for version in [1, 2] {
            for isCompressed in [false, true] {
                var file = NIfTIBytes(version: version)
                file.extensionBytes = [1, 0, 0, 0] + [UInt8](repeating: 0xAB, count: size)
                let volume = try withFile(isCompressed ? gzip(file.bytes) : file.bytes) {
                    try Volume(contentsOf: $0)
                }
                #expect(volume.voxels == (0..<24).map { Float($0) })
            }
        }
    }

    @Test func extentsOfOneAreNoSeries() throws {
        for dim in [
            [4, 2, 3, 4, 1, 1, 1, 1], [7, 2, 3, 4, 1, 1, 1, 1], [3, 2, 3, 4, 0, -1, 0, 0],
            [5, 2, 3, 4, 1, 0, 0, 0],
        ] {
            var file = NIfTIBytes()
            (file.dim, file.sformCode) = (dim, 1)
            let read = try withFile(file.bytes) { try VolumeFile(contentsOf: $0) }
            #expect(read.volume.shape == [2, 3, 4])
            #expect(read.warnings == (dim[0] == 5 ? [.extentOfZero(axis: 5)] : []))
        }
        var slice = NIfTIBytes()
        slice.dim = [2, 6, 4, 0, 0, 0, 0, 0]
        slice.pixdim[3] = 0
        let volume = try withFile(slice.bytes) { try Volume(contentsOf: $0) }
        #expect(volume.shape == [6, 4, 1])
        #expect(volume.grid.spacing == [1, 1, 1])
    }

    @Test func theFirstBytesTellCompressionAndNotTheName() throws {
        let bytes = NIfTIBytes().bytes
        let plain = try withFile(bytes, named: "volume.nii.gz") { try Volume(contentsOf: $0) }
        let compressed = try withFile(gzip(bytes), named: "volume.nii") { try Volume(contentsOf: $0) }
        #expect(plain == compressed)
    }
}
