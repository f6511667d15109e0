import VoxelSupport

/// Reads a pickle as `torch.save` writes it, executing nothing.
///
/// A pickle is a program for a machine with a stack, a memo and a few operations (Python's documentation,
/// "pickle", and its module `pickletools`, which lists them). PyTorch writes protocol 2. The operations of
/// later protocols that make plain data are read too; all others are refused, and so is a call of anything but
/// `Pickle.Function`. Any other name may stand as a value or a key, as classes do in Lightning's checkpoints and
/// `torch.float32` in many: it is not resolved.
///
/// What the machine holds is counted while it grows, and its stack is bounded. A step takes a time in proportion to the
/// bytes that it reads or the values that it takes off the stack, or else to what is charged to the memory: a value
/// that the pickle refers to again, which costs it two bytes, is never walked through unless its length is bounded.
struct PickleMachine {
    /// The longest pickle, the highest stack and the most open brackets that are read: a thousand times what
    /// networks have.
    private static let longest = 64 << 20
    private static let highest = 1 << 18
    private static let mostMarks = 1 << 10
    /// The most bytes of the name of a module, a function or a storage.
    private static let longestName = 256

    private let bytes: UnsafeRawBufferPointer
    private var place = 0
    private var stack: [Pickle.Value] = []
    private var marks: [Int] = []
    private var memo: [Pickle.Value] = []
    private var pickle = Pickle()
    /// How many bytes of memory may still be used.
    private var allowance: Int

    /// Reads a pickle that is part of a file of `fileLength` bytes.
    ///
    /// - Throws: `PyTorchError.Problem`.
    static func read(_ bytes: UnsafeRawBufferPointer, fileLength: Int) throws -> Pickle {
        var machine = PickleMachine(bytes: bytes, allowance: 24 << 20 + fileLength / 2)
        while try machine.step() {}
        return machine.pickle
    }

    /// - Throws: `PyTorchError.Problem` where a pickle is longer than any that is read.
    static func checkLength(_ count: Int) throws(PyTorchError.Problem) {
        guard count <= longest else {
            throw .pickle(reason: "it is longer than \(longest) bytes", byte: longest)
        }
    }

    private init(bytes: UnsafeRawBufferPointer, allowance: Int) {
        (self.bytes, self.allowance) = (bytes, allowance)
    }

    /// Does one operation; false after the last.
    private mutating func step() throws -> Bool {
        let code = try take(1)[0]
        switch PickleOperation(rawValue: code) {
        case .protocol:
            let version = try number(1)
            guard (2...5).contains(version) else { throw failure("protocol \(version), where 2 to 5 are read") }
        case .frame: _ = try number(8)  // a length that nothing depends on
        case .stop: return try stop()
        case .mark:
            guard marks.count < Self.mostMarks else {
                throw failure("more than \(Self.mostMarks) open brackets")
            }
            marks.append(stack.count)
        case .pop: if marks.last == stack.count { marks.removeLast() } else { _ = try pop() }
        case .popMark: _ = try popToMark()
        case .duplicate: try push(top())
        case .null: try push(.none)
        case .true: try push(.bool(true))
        case .false: try push(.bool(false))
        case .integer1: try push(.integer(number(1)))
        case .integer2: try push(.integer(number(2)))
        case .integer4: try push(.integer(Int(Int32(truncatingIfNeeded: number(4)))))
        case .long: try push(.integer(longInteger(count: number(1))))
        case .number: try push(.number(double()))
        case .text1: try push(text(count: number(1)))
        case .text4: try push(text(count: number(4)))
        case .text8: try push(text(count: number(8)))
        case .emptyTuple, .emptyList: try pushSequence([])
        case .tuple1: try pushSequence(pop(1))
        case .tuple2: try pushSequence(pop(2))
        case .tuple3: try pushSequence(pop(3))
        case .tuple, .list: try pushSequence(popToMark())
        case .append: try append(pop(1))
        case .appends: try append(popToMark())
        case .emptyDictionary: try pushDictionary()
        case .dictionary:
            let items = try popToMark()
            try pushDictionary()
            try insert(items)
        case .insert: try insert(pop(2))
        case .inserts: try insert(popToMark())
        case .global: try push(global(module: line(), name: line()))
        case .stackGlobal:
            let names = try pop(2)
            try push(global(module: string(names[0]), name: string(names[1])))
        case .reduce: try reduce()
        case .build: try build()
        case .persistent: try pushStorage()
        case .store1: try store(as: number(1))
        case .store4: try store(as: number(4))
        case .storeNext: try store(as: memo.count)
        case .recall1: try push(recall(number(1)))
        case .recall4: try push(recall(number(4)))
        case nil:
            // A new object of a class: its name says more than the operation.
            if code == 0x81, case .unresolved(let index)? = stack.dropLast().last {
                throw PyTorchError.Problem.forbidden(name: pickle.unresolved[index])
            }
            throw failure(
                "operation 0x\(String(code, radix: 16)) makes neither tensors nor plain data, and is not executed"
            )
        }
        return true
    }

    private mutating func stop() throws -> Bool {
        guard stack.count == 1, marks.isEmpty, place == bytes.count else {
            throw failure(
                "it ends with \(stack.count) values and \(bytes.count - place) bytes left; expected 1 and 0")
        }
        pickle.root = stack[0]
        return false
    }

    private func failure(_ reason: String) -> PyTorchError.Problem { .pickle(reason: reason, byte: place) }
}

/// Reading the operations' arguments.
extension PickleMachine {
    private mutating func take(_ count: Int) throws -> UnsafeRawBufferPointer {
        guard count <= bytes.count - place else { throw failure("it breaks off") }
        defer { place += count }
        return UnsafeRawBufferPointer(rebasing: bytes[place..<place + count])
    }

    /// An unsigned, little-endian number of 1 to 8 bytes.
    private mutating func number(_ count: Int) throws -> Int {
        let value = try take(count).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard let number = Int(exactly: value) else { throw failure("a length of \(value) bytes") }
        return number
    }

    /// A signed, little-endian number of up to 8 bytes.
    private mutating func longInteger(count: Int) throws -> Int {
        guard count <= 8 else { throw failure("a whole number of \(count) bytes, where 8 are read") }
        let bytes = try take(count)
        let sign: UInt64 = (bytes.last ?? 0) & 0x80 == 0 ? 0 : .max
        return Int(Int64(bitPattern: bytes.reversed().reduce(sign) { $0 << 8 | UInt64($1) }))
    }

    private mutating func double() throws -> Double {
        Double(bitPattern: try take(8).reduce(0) { $0 << 8 | UInt64($1) })
    }

    private mutating func text(count: Int) throws -> Pickle.Value {
        let start = place
        guard try take(count).isUTF8 else { throw failure("text that is not UTF-8") }
        return .text(start: UInt32(start), count: UInt32(count))
    }

    private mutating func line() throws -> String {
        let start = place
        // Names are short. A long search would be made again for each operation that fails to end its line.
        while try take(1)[0] != UInt8(ascii: "\n") {
            guard place - start <= Self.longestName else {
                throw failure("a name of more than \(Self.longestName) bytes")
            }
        }
        return String(decoding: bytes[start..<place - 1], as: UTF8.self)
    }

    /// A text of at most `limit` bytes.
    private func string(_ value: Pickle.Value, limit: Int = longestName) throws -> String {
        guard case .text(let start, let count) = value else { throw failure("expected text") }
        guard count <= limit else { throw failure("a name of more than \(limit) bytes") }
        return String(decoding: bytes[Int(start)..<Int(start) + Int(count)], as: UTF8.self)
    }

    /// A tuple with a whole number for each axis of a tensor.
    private func extents(_ value: Pickle.Value) throws -> [Int] {
        guard case .sequence(let index) = value else { throw failure("expected a tuple of whole numbers") }
        let axes = pickle.sequences[index].count
        guard axes <= SafetensorsHeader.mostAxes else {
            throw failure("a tensor of \(axes) axes; expected at most \(SafetensorsHeader.mostAxes)")
        }
        return try pickle.sequences[index].map(integer)
    }

    private func integer(_ value: Pickle.Value) throws -> Int {
        guard case .integer(let integer) = value else { throw failure("expected a whole number") }
        return integer
    }
}

/// The stack and the memo.
extension PickleMachine {
    private mutating func charge(_ bytes: Int) throws {
        allowance -= bytes
        guard allowance >= 0 else { throw failure("it would take more memory than any checkpoint does") }
    }

    private mutating func push(_ value: Pickle.Value) throws {
        guard stack.count < Self.highest else { throw failure("more than \(Self.highest) values on the stack") }
        stack.append(value)
    }

    private func top() throws -> Pickle.Value {
        guard let value = stack.last, stack.count > marks.last ?? 0 else { throw failure("the stack is empty") }
        return value
    }

    private mutating func pop() throws -> Pickle.Value {
        let value = try top()
        stack.removeLast()
        return value
    }

    private mutating func pop(_ count: Int) throws -> [Pickle.Value] {
        guard stack.count - (marks.last ?? 0) >= count else { throw failure("the stack is empty") }
        defer { stack.removeLast(count) }
        return Array(stack.suffix(count))
    }

    private mutating func popToMark() throws -> [Pickle.Value] {
        guard let mark = marks.popLast() else { throw failure("a closing bracket without an opening one") }
        defer { stack.removeSubrange(mark...) }
        return Array(stack[mark...])
    }

    /// Memos are numbered in the order in which they are made.
    private mutating func store(as index: Int) throws {
        guard index <= memo.count else { throw failure("memo \(index) before memo \(memo.count)") }
        if index < memo.count { return memo[index] = try top() }
        try charge(2 * MemoryLayout<Pickle.Value>.stride)
        memo.append(try top())
    }

    private func recall(_ index: Int) throws -> Pickle.Value {
        guard index < memo.count else { throw failure("memo \(index), of \(memo.count)") }
        return memo[index]
    }
}

/// Making lists, tuples and dictionaries.
extension PickleMachine {
    /// The bytes of a list, a dictionary or another container beside its items, and of each item, with the reserve of
    /// arrays and dictionaries.
    private static let costOfContainer = 80
    private static let costOfItem = 2 * MemoryLayout<Pickle.Value>.stride
    private static let costOfField = 160

    private mutating func pushSequence(_ items: [Pickle.Value]) throws {
        try charge(Self.costOfContainer + items.count * Self.costOfItem)
        pickle.sequences.append(items)
        try push(.sequence(pickle.sequences.count - 1))
    }

    private mutating func append(_ items: [Pickle.Value]) throws {
        guard case .sequence(let index) = try top() else { throw failure("expected a list to append to") }
        try charge(items.count * Self.costOfItem)
        pickle.sequences[index] += items
    }

    private mutating func pushDictionary() throws {
        try charge(Self.costOfContainer)
        pickle.dictionaries.append([:])
        try push(.dictionary(pickle.dictionaries.count - 1))
    }

    /// Inserts names and values in turn into the dictionary on top.
    private mutating func insert(_ items: [Pickle.Value]) throws {
        guard case .dictionary(let index) = try top() else { throw failure("expected a dictionary") }
        guard items.count % 2 == 0 else { throw failure("a name without a value") }
        for place in stride(from: 0, to: items.count, by: 2) {
            guard case .text(_, let count) = items[place] else { continue }
            try charge(Self.costOfField + Int(count))
            let name = try string(items[place], limit: Self.longest)
            guard pickle.dictionaries[index].updateValue(items[place + 1], forKey: name) == nil else {
                throw failure("a dictionary has two values named '\(name.shortened)'")
            }
        }
    }
}

/// Making tensors and what they are made of.
extension PickleMachine {
    private mutating func global(module: String, name: String) throws -> Pickle.Value {
        let name = "\(module).\(name)"
        if let type = Pickle.storageTypes[name] { return .storageType(type) }
        if let function = Pickle.Function(rawValue: name) { return .function(function) }
        try charge(Self.costOfContainer + name.utf8.count)
        pickle.unresolved.append(name)
        return .unresolved(pickle.unresolved.count - 1)
    }

    /// What a call of a function would give.
    private mutating func reduce() throws {
        let call = try pop(2)
        if case .unresolved(let index) = call[0] {
            throw PyTorchError.Problem.forbidden(name: pickle.unresolved[index])
        }
        guard case .function(let function) = call[0], case .sequence(let index) = call[1] else {
            throw failure("a call of something that is not a function")
        }
        let arguments = pickle.sequences[index]
        switch function {
        case .orderedDictionary:
            guard arguments.isEmpty else { throw failure("an OrderedDict of \(arguments.count) arguments") }
            try pushDictionary()
        case .size:
            guard arguments.count == 1 else { throw failure("a Size of \(arguments.count) arguments") }
            _ = try extents(arguments[0])
            try push(arguments[0])
        // Where tensors were has no meaning here.
        case .device: try push(.none)
        case .parameter:
            guard arguments.count == 3, case .tensor = arguments[0] else {
                throw failure("a parameter without a tensor")
            }
            try push(arguments[0])
        case .tensor: try pushTensor(arguments)
        }
    }

    /// `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks[, metadata])`.
    private mutating func pushTensor(_ arguments: [Pickle.Value]) throws {
        guard (6...7).contains(arguments.count), case .storage(let storage) = arguments[0] else {
            throw failure("a tensor without a storage")
        }
        let (shape, strides) = (try extents(arguments[2]), try extents(arguments[3]))
        guard shape.count == strides.count else {
            throw failure("a tensor of \(shape.count) axes and \(strides.count) strides; expected as many")
        }
        try charge(3 * Self.costOfContainer + 16 * shape.count)
        pickle.tensors.append(
            Pickle.Tensor(storage: storage, offset: try integer(arguments[1]), shape: shape, strides: strides))
        try push(.tensor(pickle.tensors.count - 1))
    }

    /// The attributes of a dictionary (`_metadata`, the versions of a network's modules) are skipped.
    private mutating func build() throws {
        _ = try pop()
        guard case .dictionary = try top() else {
            throw failure("the state of something that is not a dictionary")
        }
    }

    /// `("storage", type, key, device, count)`.
    private mutating func pushStorage() throws {
        guard case .sequence(let index) = try pop() else { throw failure("expected a tuple") }
        let fields = pickle.sequences[index]
        guard fields.count == 5, try string(fields[0]) == "storage" else {
            throw failure("a reference outside the pickle that is not a storage")
        }
        if case .unresolved(let index) = fields[1] {
            throw PyTorchError.Problem.forbidden(name: pickle.unresolved[index])
        }
        guard case .storageType(let type) = fields[1] else {
            throw failure("a reference outside the pickle that is not a storage")
        }
        let key = try string(fields[2])
        try charge(2 * Self.costOfContainer + key.utf8.count)
        pickle.storages.append(Pickle.Storage(type: type, key: key, count: try integer(fields[4])))
        try push(.storage(pickle.storages.count - 1))
    }
}
