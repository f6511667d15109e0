import Foundation
import TestSupport
import Testing
@testable import VolumeIO

/// With a program in the place of dcm2niix that writes the files it is told to.
@Suite("DICOM folders") struct DICOMTests {
    /// Converts a folder with a program that writes some files and says something.
    private func converted(_ names: [String], message: String = "") throws -> (name: String, isCorrected: Bool)
    {
        try withTemporaryFolder { folder in
            let program = folder.appending(path: "converter")
            let touch = names.map { ": > \"$out/\($0)\"" }.joined(separator: "\n")
            // The output folder is the argument after -o.
            let script = """
                #!/bin/sh
                while [ "$1" != -o ]; do shift; done
                out=$2
                \(touch)
                echo version 1
                echo "\(message)" >&2
                """
            try Data(script.utf8).write(to: program)
            chmod(program.path, 0o755)
            let conversion = try DICOMConversion(folder: folder.path, program: program.path)
            #expect(FileManager.default.fileExists(atPath: conversion.file))
            return ((conversion.file as NSString).lastPathComponent, conversion.isCorrected)
        }
    }

    private func reason(_ names: [String], message: String = "") -> VolumeIOError.Reason? {
        #expect(throws: VolumeIOError.Reason.self) { try converted(names, message: message) }
    }

    @Test func oneSeries() throws {
        let plain = try converted(["3_head.nii"])
        #expect(plain.name == "3_head.nii" && !plain.isCorrected)
        // Corrected for the tilt of the gantry, and then for unequal distances of slices.
        let corrected = try converted(["3_head.nii", "3_head_Tilt_1.nii", "3_head_Tilt_Eq_1.nii"])
        #expect(corrected.name == "3_head_Tilt_Eq_1.nii" && corrected.isCorrected)
    }

    @Test func noneOrSeveral() {
        #expect(reason(["3_head.nii", "4_neck.nii"]) == .severalSeries(["3_head", "4_neck"]))
        #expect(reason(["3_head.nii", "3_heada.nii"]) == .severalSeries(["3_head", "3_heada"]))
        #expect(reason(["x.json"], message: "Error: no images") == .conversionFailed("Error: no images"))
    }

    @Test func noProgram() {
        #expect(throws: VolumeIOError.Reason.converterMissing) {
            _ = try DICOMConversion(folder: "/tmp", program: "voxelbridge-has-no-such-program")
        }
    }
}
