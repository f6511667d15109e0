import Foundation
import TestSupport
import Testing

/// What the package says of itself: `swift package dump-package`.
struct PackageManifest: Decodable {
    let products: [Product]
    let targets: [Target]

    struct Product: Decodable {
        let name: String
        let targets: [String]
    }

    struct Target: Decodable {
        /// What a target is.
        enum Kind: String, Decodable {
            case regular, executable, system, test
        }

        let name: String
        let kind: Kind
        let path: String?
        /// The names of the targets and products that it names as its dependencies.
        let dependencies: Set<String>
        /// The kinds of its build settings, such as `linkedLibrary`.
        let settings: Set<String>
    }

    /// Asks the package manager. It takes a folder of its own, as the tests themselves may be running under the
    /// lock of the package's.
    static func load() throws -> PackageManifest {
        try withTemporaryFolder { folder in
            let answer = folder.appending(path: "package.json")
            try Data().write(to: answer)
            let process = Process()
            process.executableURL = URL(filePath: "/usr/bin/env")
            process.arguments = [
                "swift", "package", "--scratch-path", folder.appending(path: "scratch").path, "--package-path",
                Fixtures.packageRoot.path, "dump-package",
            ]
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = try FileHandle(forWritingTo: answer)
            try process.run()
            process.waitUntilExit()
            try #require(process.terminationStatus == 0, "swift package dump-package failed")
            return try JSONDecoder().decode(PackageManifest.self, from: Data(contentsOf: answer))
        }
    }

    /// The targets that hold the package's own code: no tests, no support for them, no C.
    var modules: [Target] {
        targets.filter { ($0.kind == .regular || $0.kind == .executable) && $0.path == nil && !isC($0.name) }
    }

    /// The C targets that stand on a library of the system.
    var systemLibraries: Set<String> {
        Set(targets.filter { $0.kind == .system || $0.settings.contains("linkedLibrary") }.map(\.name))
    }

    func target(_ name: String) -> Target? { targets.first { $0.name == name } }

    /// All that a target depends on, directly or through others.
    func reach(of name: String) -> Set<String> {
        var reached: Set<String> = []
        var front = [name]
        while let next = front.popLast() {
            for dependency in target(next)?.dependencies ?? [] where reached.insert(dependency).inserted {
                front.append(dependency)
            }
        }
        return reached
    }

    /// C targets are those whose names have a capital after the C, as `CNIfTI`.
    private func isC(_ name: String) -> Bool { name.first == "C" && name.dropFirst().first!.isUppercase }
}

extension PackageManifest.Target {
    private enum CodingKeys: String, CodingKey {
        case name, path, dependencies, settings
        case kind = "type"
    }

    /// A dependency is `{"byName": ["Volumes", null]}`, or the like under `target` or `product`.
    private struct Dependency: Decodable {
        let name: String

        init(from decoder: any Decoder) throws {
            let values = try decoder.singleValueContainer().decode([String: [Part?]].self)
            let name = values.values.first?.first??.text
            guard let name else {
                throw DecodingError.dataCorrupted(
                    .init(codingPath: decoder.codingPath, debugDescription: "a dependency without a name"))
            }
            self.name = name
        }

        /// A part of a dependency: its name, its package, or conditions, which are no text.
        private struct Part: Decodable {
            let text: String?
            init(from decoder: any Decoder) throws {
                text = try? decoder.singleValueContainer().decode(String.self)
            }
        }
    }

    /// A setting is `{"kind": {"linkedLibrary": {...}}, ...}`.
    private struct Setting: Decodable {
        let kind: [String: Content]

        struct Content: Decodable {
            init(from decoder: any Decoder) {}
        }
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        kind = try container.decode(Kind.self, forKey: .kind)
        path = try container.decodeIfPresent(String.self, forKey: .path)
        dependencies = Set(try container.decode([Dependency].self, forKey: .dependencies).map(\.name))
        settings = Set(try container.decode([Setting].self, forKey: .settings).flatMap(\.kind.keys))
    }
}
