import ArgumentParser
import Foundation
import VolumeTranslation

struct InfoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info", abstract: "Describe a file: a volume, or the weights of a network.",
        discussion: """
            For a volume: shape, spacing, orientation, intensities. For weights: the sets of weights, the number of \
            parameters, the configuration of the network, and the settings that it was trained with.
            """)

    @Argument(help: "The file (.nii or .nii.gz; .safetensors or .pth).")
    var file: String

    @Flag(help: "Print a JSON object.")
    var json = false

    func run() throws {
        let url = URL(filePath: file)
        if weightsExtensions.contains(where: { file.lowercased().hasSuffix($0) }) {
            let description = try WeightsDescription(of: url)
            try show(description, description.lines)
        } else {
            let description = try FileDescription(of: url)
            try show(description, description.lines)
        }
    }

    private func show(_ description: some Encodable, _ lines: [String]) throws {
        if json { try printJSON(description) } else { print(lines.joined(separator: "\n")) }
    }
}

/// The description of a volume's file.
private struct FileDescription: Encodable {
    let format: String
    let shape: [Int]
    let spacing: [Double]
    let orientation: String
    let affine: [[Double]]
    let placement: String
    let sformCode: Int
    let qformCode: Int
    let dataType: String
    let slope: Double
    let intercept: Double
    let description: String
    /// `nil` for series, colours and vectors.
    let intensities: Intensities?

    struct Intensities: Encodable {
        let minimum: Float
        let maximum: Float
        /// Number of voxels that are NaN or infinite; they are read as zero.
        let notFinite: Int
    }

    init(of url: URL) throws {
        let header = try NIfTIHeader(contentsOf: url)
        let grid = header.grid
        format = "NIfTI-\(header.version.rawValue)"
        shape = header.shape
        spacing = (0..<3).map { grid.spacing[$0] }
        orientation = grid.orientation.description
        affine = grid.affine.rows.map { row in (0..<4).map { row[$0] } } + [[0, 0, 0, 1]]
        placement = "\(header.placement)"
        (sformCode, qformCode) = (header.sformCode, header.qformCode)
        (dataType, slope, intercept) = (header.dataType, header.slope, header.intercept)
        description = header.text
        do {
            let file = try VolumeFile(contentsOf: url)
            let range = file.volume.intensityRange
            intensities = Intensities(
                minimum: range.lowerBound, maximum: range.upperBound, notFinite: file.replacedVoxels)
        } catch {
            // A series, or colours: only the header is described.
            switch error.reason {
            case .notOneVolume, .unsupportedDataType: intensities = nil
            default: throw error
            }
        }
    }

    /// A line for each field.
    var lines: [String] {
        func list(_ values: [Double]) -> String {
            values.map { String(format: "%.6g", $0) }.joined(separator: ", ")
        }
        var facts = [
            ("format", format), ("shape", shape.map(String.init).joined(separator: " x ")),
            ("spacing", list(spacing) + " mm"), ("orientation", orientation),
        ]
        facts += affine.dropLast().enumerated().map { ($0.offset == 0 ? "affine" : "", list($0.element)) }
        facts += [
            ("placed by", "\(placement) (sform code \(sformCode), qform code \(qformCode))"),
            ("stored as", dataType + (slope == 1 && intercept == 0 ? "" : ", x \(slope) + \(intercept)")),
        ]
        if let intensities {
            facts.append(("intensities", "\(intensities.minimum) to \(intensities.maximum)"))
            if intensities.notFinite > 0 {
                facts.append(("", "\(intensities.notFinite) voxels are NaN or infinite and are read as 0"))
            }
        }
        if !description.isEmpty { facts.append(("description", description)) }
        return facts.map { $0.0.padding(toLength: 13, withPad: " ", startingAt: 0) + $0.1 }
    }
}
