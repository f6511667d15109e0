import Foundation

/// The first name that stands twice in one object of a JSON text, or nil. O(n).
///
/// Decoders keep one of two equal names and say nothing, which would let a file mean different things to
/// different readers. The text must be valid JSON, so that strings and brackets are all that need be followed.
func firstDuplicateName(inJSON json: [UInt8]) -> String? {
    var names: [Set<String>] = []  // of each object that is open
    var isObject: [Bool] = []  // of each object or array that is open
    var expectsName = false
    var index = 0
    while index < json.count {
        switch json[index] {
        case UInt8(ascii: "{"):
            isObject.append(true)
            names.append([])
            expectsName = true
        case UInt8(ascii: "["):
            isObject.append(false)
            expectsName = false
        case UInt8(ascii: "}"):
            names.removeLast()
            isObject.removeLast()
        case UInt8(ascii: "]"):
            isObject.removeLast()
        case UInt8(ascii: ","):
            expectsName = isObject.last == true
        case UInt8(ascii: "\""):
            let end = endOfString(in: json, from: index)
            if expectsName {
                let name = unescaped(json[index...end])
                guard names[names.count - 1].insert(name).inserted else { return name }
            }
            expectsName = false
            index = end
        default: break
        }
        index += 1
    }
    return nil
}

/// The index of the quotation mark that closes a string.
private func endOfString(in json: [UInt8], from opening: Int) -> Int {
    var index = opening + 1
    while json[index] != UInt8(ascii: "\"") { index += json[index] == UInt8(ascii: "\\") ? 2 : 1 }
    return index
}

/// The text of a string in its quotation marks.
private func unescaped(_ string: ArraySlice<UInt8>) -> String {
    let plain = String(decoding: string.dropFirst().dropLast(), as: UTF8.self)
    guard string.contains(UInt8(ascii: "\\")) else { return plain }
    let array = [UInt8(ascii: "[")] + string + [UInt8(ascii: "]")]
    return (try? JSONDecoder().decode([String].self, from: Data(array)))?.first ?? plain
}
