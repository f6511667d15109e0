import ArgumentParser
import Foundation
import StyleKeys
import VolumeMetrics
import VoxelSupport

/// Times metrics and style keys of a volume, optionally compared with scikit-image and NumPy.
struct MetricsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics", abstract: "Times metrics and style keys, compared with scikit-image and NumPy.",
        discussion: """
            Each measurement runs in its own process, in turn with the peer's. The peer reads the same numbers, in \
            double precision as NiBabel gives them, and with --single in single precision.
            """)

    /// What is timed.
    enum Case: String, CaseIterable, ExpressibleByArgument {
        case ssim, psnr, nrmse
        case styleKey = "style-key"
        case everything
    }

    @Option(help: "Voxels along each axis.") var size = 160
    @Option(help: "One case, without a comparison.") var only: Case?
    @Option(help: "A Python with scikit-image; without it nothing is compared.") var python: String?
    @Flag(help: "Give scikit-image single precision.") var single = false
    @OptionGroup var options: MeasuringOptions

    func run() async throws {
        if let only { return try options.print([try await measure(only)]) { $0.table() } }
        var rows: [[String]] = []
        for item in Case.allCases {
            let data = try ChildProcess.ourselves(
                [
                    "metrics", "--only", item.rawValue, "--size", "\(size)", "--repeat", "\(options.repeats)",
                    "--json",
                ])
            let own = try JSONDecoder().decode([Measurement].self, from: data)[0]
            let peer = try item == .everything ? nil : peer(item)
            let memory = { (bytes: Int) in text(Double(bytes) / 1e6) + " MB" }
            rows.append([
                own.what, text(own.seconds * 1000), peer.map { text($0.seconds * 1000) } ?? "",
                peer.map { text($0.seconds / own.seconds) } ?? "", memory(own.peakMemory),
                peer.map { memory($0.peakMemory) } ?? "",
            ])
        }
        print(markdown(["", "ms", "peer, ms", "ratio", "memory", "peer's"], rows))
    }

    private func peer(_ item: Case) throws -> PeerMeasurement? {
        guard let python else { return nil }
        let script = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../peer_metrics.py").standardizedFileURL.path
        let data = try ChildProcess.run(
            python,
            [script, item.rawValue, "--size", "\(size)", "--repeat", "\(options.repeats)"]
                + (single ? ["--single"] : []))
        return try JSONDecoder().decode(PeerMeasurement.self, from: data)
    }

    /// The time of a case, and the memory that it takes beyond that of the two volumes.
    private func measure(_ item: Case) async throws -> Measurement {
        let (prediction, reference) = volumes
        let before = peakMemory()
        let seconds = try await shortest(of: options.repeats) {
            switch item {
            case .ssim: _ = try SSIM()(prediction, against: reference)
            case .psnr: _ = try PSNR()(prediction, against: reference)
            case .nrmse: _ = try NRMSE()(prediction, against: reference)
            case .styleKey: _ = try StyleKey(of: reference, intensities: RescaleIntensity(.minMax))
            case .everything: _ = try MetricReport(of: prediction, against: reference)
            }
        }
        let names: [Case: String] = [
            .ssim: "SSIM in 3-D", .psnr: "PSNR", .nrmse: "NRMSE", .styleKey: "style key, 128 bins",
            .everything: "all \(MetricReport.standardMetrics().count) standard metrics",
        ]
        return Measurement(
            what: names[item]!, threads: ProcessInfo.processInfo.activeProcessorCount, seconds: seconds,
            operations: 0, peakMemory: peakMemory() - before)
    }

    /// The same pair for every case: smooth, with noise, and a background of zero around it.
    private var volumes: (Volume, Volume) {
        let grid = VoxelGrid(shape: SIMD3(repeating: size))
        var (prediction, reference) = (Volume(grid: grid), Volume(grid: grid))
        let middle = Double(size - 1) / 2
        for z in 0..<size {
            let noise = (0..<size * size).map { index in
                let bits = Philox4x32.block(counter: [UInt32(index), UInt32(z), 0, 0], key: [7, 0])
                return SIMD2(Float(bits[0]), Float(bits[1])) * 0x1p-32 - 0.5
            }
            for y in 0..<size {
                for x in 0..<size {
                    let place = (SIMD3(Double(x), Double(y), Double(z)) - middle) / (0.45 * Double(size))
                    guard (place * place).sum() < 1 else { continue }
                    let value = Float(0.6 + 0.3 * place.x * place.y) + 0.05 * noise[y * size + x].x
                    reference[x, y, z] = value
                    prediction[x, y, z] = value + 0.1 * noise[y * size + x].y
                }
            }
        }
        return (prediction, reference)
    }
}
