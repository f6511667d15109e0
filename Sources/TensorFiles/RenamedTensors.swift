/// Tensors of a source under other names: a part of it, or all.
package struct RenamedTensors: TensorSource {
    private let source: any TensorSource
    /// The name in the source, by the new one.
    private let stored: [String: String]

    /// The tensors of a source that are named here, each under its key.
    package init(_ source: any TensorSource, stored: [String: String]) {
        (self.source, self.stored) = (source, stored)
    }

    /// The tensors of a source whose names begin with a prefix, without it.
    package init(_ source: any TensorSource, prefix: String) {
        let names = source.names.filter { $0.hasPrefix(prefix) }
        self.init(
            source,
            stored: Dictionary(uniqueKeysWithValues: names.map { (String($0.dropFirst(prefix.count)), $0) }))
    }

    package var count: Int { stored.count }
    package var names: [String] { stored.keys.sorted() }
    package func shape(of name: String) -> [Int]? { stored[name].flatMap(source.shape) }
    package func type(of name: String) -> TensorType? { stored[name].flatMap(source.type) }

    package func tensor(_ name: String) throws -> Tensor {
        guard let stored = stored[name] else { throw MissingTensor(name: name) }
        return try source.tensor(stored)
    }
}

extension TensorSource {
    /// The source without the prefixes that training tools put before every name: `module.` (parallel training),
    /// `_orig_mod.` (compiled models), `model.` (Lightning), in any order.
    package var withoutWrappers: any TensorSource {
        let names = names
        guard let first = names.first else { return self }
        for prefix in ["module.", "_orig_mod.", "model."]
        where first.hasPrefix(prefix) && names.allSatisfy({ $0.hasPrefix(prefix) }) {
            return RenamedTensors(self, prefix: prefix).withoutWrappers
        }
        return self
    }
}

extension PyTorchCheckpoint {
    /// The names under which training tools keep the parameters of a whole network.
    package static let stateDictionaries = ["state_dict", "model_state_dict"]

    /// The parameters under one of these names, or those of the outermost dictionary; nil where there are no tensors.
    package var stateDictionary: (any TensorSource)? {
        let places = Self.stateDictionaries.map { tensors(at: $0) } + [tensors()]
        return places.compactMap(\.self).first { $0.count > 0 }
    }
}
