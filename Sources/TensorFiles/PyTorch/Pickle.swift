/// What a pickle holds, as far as PyTorch writes it: plain data, and tensors that lie elsewhere.
///
/// Values refer to each other by number, and nothing here follows them: however deep or circular they are,
/// making and dropping them is no deeper than a loop.
struct Pickle {
    /// A value. Text is a place in the pickle; what holds other values is a number in one of the lists below.
    enum Value {
        case none
        case bool(Bool)
        case integer(Int)
        case number(Double)
        case text(start: UInt32, count: UInt32)
        case function(Function)
        case storageType(TensorType)
        case sequence(Int)
        case dictionary(Int)
        case storage(Int)
        case tensor(Int)
    }

    /// The only functions that a pickle may name, and what is done in their stead.
    enum Function: String, CaseIterable {
        case tensor = "torch._utils._rebuild_tensor_v2"
        case parameter = "torch._utils._rebuild_parameter"
        case orderedDictionary = "collections.OrderedDict"
        case size = "torch.Size"
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
