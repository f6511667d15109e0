import Foundation

/// The name of a file in the Brain Imaging Data Structure: entities, a suffix and an extension, such as
/// `sub-01_ses-2_run-1_T1w.nii.gz`.
struct BidsName: Hashable, Sendable {
    /// An entity, such as `run-1`.
    struct Entity: Hashable, Sendable, CustomStringConvertible {
        let key: String
        let label: String

        var description: String { "\(key)-\(label)" }

        init(_ key: String, _ label: String) { (self.key, self.label) = (key, label) }

        /// An entity as it is written; nil for other text.
        init?(_ text: some StringProtocol) {
            guard let dash = text.firstIndex(of: "-") else { return nil }
            self.init(String(text[..<dash]), String(text[text.index(after: dash)...]))
            // A plus sign joins labels in some templates' names.
            guard !key.isEmpty, key.allSatisfy(\.isLabel), !label.isEmpty,
                label.allSatisfy({ $0.isLabel || $0 == "+" })
            else { return nil }
        }
    }

    private(set) var entities: [Entity]
    var suffix: String
    /// With its dot: `.nii.gz`.
    var fileExtension: String

    /// The parts of a file's name; nil if it is not of this form.
    init?(_ file: String) {
        guard let dot = file.firstIndex(of: ".") else { return nil }
        let parts = file[..<dot].split(separator: "_", omittingEmptySubsequences: false)
        guard let suffix = parts.last, !suffix.isEmpty, suffix.allSatisfy(\.isLabel) else { return nil }
        let entities = parts.dropLast().map { Entity($0) }
        guard !entities.contains(nil) else { return nil }
        self.entities = entities.compactMap(\.self)
        self.suffix = String(suffix)
        fileExtension = String(file[dot...])
    }

    /// The label of an entity.
    subscript(_ key: String) -> String? { entities.first { $0.key == key }?.label }

    /// With one more entity, the last in the order of entities.
    func describing(_ label: String) -> BidsName {
        var name = keeping { $0.key != "desc" }
        name.entities.append(Entity("desc", label))
        return name
    }

    /// Without the entities that fail a test.
    func keeping(_ isKept: (Entity) -> Bool) -> BidsName {
        var name = self
        name.entities = entities.filter(isKept)
        return name
    }

    /// Entities and suffix.
    var stem: String { (entities.map(\.description) + [suffix]).joined(separator: "_") }

    /// The name of the file.
    var file: String { stem + fileExtension }

    /// The subject's folder, and the session's in it if there is one.
    var folder: String {
        entities.filter { ["sub", "ses"].contains($0.key) }.map { "\($0)" }.joined(separator: "/")
    }
}

extension Character {
    /// Whether a label may contain it.
    fileprivate var isLabel: Bool { isASCII && (isLetter || isNumber) }
}

extension String {
    /// Whether the text is a label.
    var isBidsLabel: Bool { !isEmpty && allSatisfy(\.isLabel) }
}
