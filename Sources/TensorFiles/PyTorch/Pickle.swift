/// The contents of a pickle, as far as PyTorch writes it: plain data, and references to tensors.
///
/// Values refer to each other by number, and nothing here follows them: however deep or circular they are,
/// making and dropping them is no deeper than a loop.
struct Pickle {
    /// A value. Text is a place in the pickle; containers are indices of the lists below.
    enum Value {
        case none
        case bool(Bool)
        case integer(Int)
        case number(Double)
        case text(start: UInt32, count: UInt32)
        case function(Function)
        case storageType(TensorType)
        /// A function, type or constant of another name: the index of the name. It is neither found nor called, but may be a
        /// key or a value.
        case unresolved(Int)
        case sequence(Int)
        case dictionary(Int)
        case storage(Int)
        case tensor(Int)
    }

    /// The only functions that a pickle may call. None is called: each maps to a case of `PickleMachine`.
    enum Function: String, CaseIterable {
        case tensor = "torch._utils._rebuild_tensor_v2"
        case parameter = "torch._utils._rebuild_parameter"
        case orderedDictionary = "collections.OrderedDict"
        case size = "torch.Size"
        case device = "torch.device"
    }

    /// An array of numbers of one type, in an entry of the archive.
    struct Storage {
        let type: TensorType
        /// The entry's name in the folder `data`.
        let key: String
        /// How many numbers there are.
        let count: Int
    }

    /// A view of a storage.
    struct Tensor {
        let storage: Int
        /// The first number, counted in numbers from the beginning of the storage.
        let offset: Int
        let shape: [Int]
        let strides: [Int]
    }

    /// Lists and tuples.
    var sequences: [[Value]] = []

    /// Dictionaries. Keys that are not text are not kept.
    var dictionaries: [[String: Value]] = []

    /// Names of what is not resolved.
    var unresolved: [String] = []

    var storages: [Storage] = []
    var tensors: [Tensor] = []

    /// What the pickle as a whole is.
    var root = Value.none
}

extension Pickle {
    /// The types of storage, by their names in Python.
    static let storageTypes: [String: TensorType] = [
        "torch.DoubleStorage": .f64, "torch.FloatStorage": .f32, "torch.HalfStorage": .f16,
        "torch.BFloat16Storage": .bf16, "torch.LongStorage": .i64, "torch.IntStorage": .i32,
        "torch.ShortStorage": .i16, "torch.CharStorage": .i8, "torch.ByteStorage": .u8,
        "torch.BoolStorage": .bool,
    ]
}

/// The operations of pickles that are followed, by their codes.
enum PickleOperation: UInt8 {
    case `protocol` = 0x80
    case frame = 0x95
    case stop = 0x2E
    case mark = 0x28
    case pop = 0x30
    case popMark = 0x31
    case duplicate = 0x32
    case null = 0x4E
    case `true` = 0x88
    case `false` = 0x89
    case integer1 = 0x4B
    case integer2 = 0x4D
    case integer4 = 0x4A
    case long = 0x8A
    case number = 0x47
    case text1 = 0x8C
    case text4 = 0x58
    case text8 = 0x8D
    case emptyTuple = 0x29
    case tuple1 = 0x85
    case tuple2 = 0x86
    case tuple3 = 0x87
    case tuple = 0x74
    case emptyList = 0x5D
    case list = 0x6C
    case append = 0x61
    case appends = 0x65
    case emptyDictionary = 0x7D
    case dictionary = 0x64
    case insert = 0x73
    case inserts = 0x75
    case global = 0x63
    case stackGlobal = 0x93
    case reduce = 0x52
    case build = 0x62
    case persistent = 0x51
    case store1 = 0x71
    case store4 = 0x72
    case storeNext = 0x94
    case recall1 = 0x68
    case recall4 = 0x6A
}
