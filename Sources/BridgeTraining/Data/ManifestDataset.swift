public import Foundation
public import StyleKeys
import Synchronization
import VoxelSupport

/// The data set of a manifest: windows around every slice with enough foreground.
///
/// ```swift
/// let manifest = try Manifest(contentsOf: "pairs.csv")
/// let data = try ManifestDataset.prepare(manifest, cache: folder, configuration: .published)
/// let trainer = try Trainer(network, configuration: .published, dataset: data.training)
/// ```
///
/// Volumes are prepared once and stored in a folder, from which slices are read as they are needed. All slices are padded with background to the size of
/// the largest.
public struct ManifestDataset: TrainingDataset {
    /// N: number of slices on either side of the middle slice of a window.
    public let radius: Int
    /// Number of rows of every slice.
    public let rows: Int
    /// Number of columns of every slice.
    public let columns: Int
    /// The columns, or the slices if they are sagittal.
    public let leftRightAxis: WindowAxis

    private let subjects: [PreparedSubject]
    /// The subject and the slice of each example.
    private let places: [(subject: Int, slice: Int)]

    /// The names of the subjects.
    public var names: [String] { subjects.map(\.name) }

    /// What may be wrong with the intensities of the subjects' volumes, a sentence each with the name of the file.
    public var warnings: [String] { subjects.flatMap(\.record.warnings) }

    /// Number of examples.
    public var count: Int { places.count }

    /// The names of the subjects, with fingerprints of their slices.
    public var fingerprint: String {
        subjects.map { "\($0.name) \(String($0.record.fingerprint, radix: 16))" }.joined(separator: "\n")
    }

    /// The mean of the style keys of the subjects.
    public var averageStyle: StyleKey {
        get throws { try StyleKey(averaging: subjects.map(\.style)) }
    }

    /// The window around the slice at an index, with the style of the subject.
    ///
    /// - Throws: `SafetensorsError` if the prepared file cannot be read.
    public func example(at index: Int) throws -> TrainingExample {
        let (subject, slice) = (subjects[places[index].subject], places[index].slice)
        func window(_ kind: PreparedVolumeKind) throws -> [Float] {
            try subject.window(kind, around: slice, radius: radius, rows: rows, columns: columns)
        }
        return TrainingExample(
            source: try window(.source), target: try window(.target), style: subject.style)
    }

    /// Prepares the subjects of a manifest for training and validation.
    ///
    /// - Parameters:
    ///   - manifest: the table.
    ///   - cache: the folder for prepared volumes, created if necessary. Prepared volumes are reused unless a file or a
    ///     setting has changed.
    ///   - configuration: the settings of the run.
    ///   - progress: called with the number of subjects prepared and the number of all subjects.
    /// - Returns: the training data, and the validation data, if any.
    /// - Throws: `ManifestError` with all problems of the manifest and of its volumes; `CancellationError`.
    public static func prepare(
        _ manifest: Manifest, cache: URL, configuration: TrainingConfiguration,
        progress: (@Sendable (_ ready: Int, _ all: Int) -> Void)? = nil
    ) throws -> (training: ManifestDataset, validation: ManifestDataset?) {
        try FileManager.default.createDirectory(at: cache, withIntermediateDirectories: true)
        let wanted = manifest.subjects.filter { $0.split != .test }
        let lock = try lock(cache) { progress?(0, wanted.count) }
        defer { withExtendedLifetime(lock) {} }
        let minimum = configuration.data.minimumForeground
        let results = try preparedInParallel(wanted.count, progress: progress) { index in
            try PreparedSubject(
                wanted[index], in: cache, settings: configuration.data,
                bins: configuration.network.contextWidth ?? 128)
        }
        var problems = manifest.problems
        let prepared = zip(wanted, results).compactMap { subject, result -> PreparedSubject? in
            switch result {
            case .success(let prepared) where prepared.record.foreground.contains { $0 > minimum }:
                return prepared
            case .success:
                let text = "no slice of the target has more than \(minimum) foreground voxels"
                problems.append(.init(subject.line, "\(subject.target.path): \(text)"))
            case .failure(let error): problems.append(.init(subject.line, error.explanation))
            }
            return nil
        }
        if !wanted.contains(where: { $0.split == .train }), manifest.problems.isEmpty {
            problems.append(.init(0, "has no subject of the split train"))
        }
        guard problems.isEmpty else {
            throw ManifestError(
                file: manifest.file.path, problems: problems.sorted { $0.line < $1.line })
        }
        let multiple = configuration.network.sizeMultiple
        let size = [prepared.map(\.rows).max()!, prepared.map(\.columns).max()!]
            .map { ($0 + multiple - 1) / multiple * multiple }
        func dataset(_ split: Manifest.Split) -> ManifestDataset {
            ManifestDataset(
                subjects: zip(prepared, wanted).filter { $1.split == split }.map(\.0), rows: size[0],
                columns: size[1], configuration: configuration)
        }
        let validation = dataset(.validation)
        return (dataset(.train), validation.count > 0 ? validation : nil)
    }

    /// Locks a folder of prepared volumes. A second process waits, and finds them prepared.
    ///
    /// - Parameter wait: called while another process prepares volumes in it.
    /// - Returns: the lock, or nil for a folder that cannot be written to.
    private static func lock(_ cache: URL, wait: () -> Void) throws -> FileLock? {
        while true {
            do throws(SystemError) { return try FileLock(cache.appending(path: "lock")) } catch {
                if [EACCES, EROFS].contains(error.code) { return nil }
                guard error.code == EWOULDBLOCK else { throw error }
            }
            try TimeLimit.check()
            wait()
            usleep(100_000)
        }
    }

    /// Prepares the subjects of a manifest, with the cache at a path; see
    /// ``prepare(_:cache:configuration:progress:)-(_,URL,_,_)``.
    public static func prepare(
        _ manifest: Manifest, cache: String, configuration: TrainingConfiguration,
        progress: (@Sendable (_ ready: Int, _ all: Int) -> Void)? = nil
    ) throws -> (training: ManifestDataset, validation: ManifestDataset?) {
        try prepare(manifest, cache: URL(filePath: cache), configuration: configuration, progress: progress)
    }

    private init(
        subjects: [PreparedSubject], rows: Int, columns: Int, configuration: TrainingConfiguration
    ) {
        (self.subjects, self.rows, self.columns) = (subjects, rows, columns)
        radius = configuration.network.radius
        leftRightAxis = configuration.data.plane == .sagittal ? .slices : .columns
        places = subjects.enumerated().flatMap { index, subject in
            subject.record.foreground.enumerated()
                .filter { $0.element > configuration.data.minimumForeground }
                .map { (subject: index, slice: $0.offset) }
        }
    }
}

/// Prepares subjects on all cores, within the caller's `TimeLimit`.
///
/// - Parameters:
///   - count: the number of subjects.
///   - progress: called with the number of subjects prepared and the number of all subjects.
///   - prepare: prepares one.
/// - Returns: each subject, or why it could not be prepared.
/// - Throws: `TimeIsUp`; `CancellationError`.
package func preparedInParallel<Subject: Sendable>(
    _ count: Int, progress: (@Sendable (_ ready: Int, _ all: Int) -> Void)?,
    _ prepare: @Sendable (Int) throws -> Subject
) throws -> [Result<Subject, any Error>] {
    let ready = Mutex(0)
    let end = TimeLimit.end
    let results = concurrentMap(count) { index in
        let result = Result {
            try TimeLimit.$end.withValue(end) { try prepare(index) }
        }
        let number = ready.withLock { ready in
            ready += 1
            return ready
        }
        progress?(number, count)
        return result
    }
    for case .failure(let error as TimeIsUp) in results { throw error }
    try Task.checkCancellation()
    return results
}
