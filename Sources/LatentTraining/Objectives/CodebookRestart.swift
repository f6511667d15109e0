import BridgeTraining
import NetworkEngine
import Networks
import TensorFiles
import VoxelSupport

extension AutoencoderObjective {
    /// The codebook with new values for codes that no element of some examples is nearest to; nil where no restart is due.
    func restarted(
        _ parameters: [String: Tensor], at step: Int, randomness: Randomness, engine: NetworkGradients,
        examples: (_ count: Int) throws -> [Example]
    ) throws -> [String: Tensor]? {
        let (name, settings) = (codebook.weight.name, losses.restarts)
        let quantised = step - losses.quantizationStart
        guard settings.interval > 0, quantised >= 0, step < settings.end, quantised % settings.interval == 0,
            var codes = parameters[name]
        else { return nil }
        var batch: [EncodedExample] = []
        // Enough that codes of every modality are seen.
        for example in try examples(16) {
            let tape = engine.tape(parameters) { _ in false }
            let features = try tape.evaluate(encoder, images: [tape.input(example.volume)])
            let quantised = tape.quantised(features, by: codebook)
            batch.append(
                EncodedExample(
                    features: tape.tensor(features), entries: tape.tensor(quantised.entries),
                    indices: quantised.indices))
        }
        codes.restart(unusedBy: batch, step: step, randomness: randomness)
        return [name: codes]
    }
}

/// An encoder's output, `[1, width, z, y, x]`, and the nearest codes.
struct EncodedExample {
    let features, entries: Tensor
    let indices: [Int]
}

extension Tensor {
    /// Gives each code, `[codes, width]`, that examples do not use the features of one of their elements, drawn with a
    /// probability in proportion to the squared distance to its code. So new codes lie where codes are missing, as in the
    /// seeding of k-means++ (Arthur and Vassilvitskii, SODA 2007). O(elements width + codes log elements).
    mutating func restart(unusedBy examples: [EncodedExample], step: Int, randomness: Randomness) {
        let (count, width) = (shape[0], shape[1])
        let used = Set(examples.flatMap(\.indices))
        // Sums of squared distances up to and with each element, over all examples.
        var sums: [Double] = []
        var elements: [(example: Int, element: Int)] = []
        var total = 0.0
        for (number, example) in examples.enumerated() {
            let size = example.indices.count
            for element in 0..<size {
                for channel in 0..<width {
                    let place = channel * size + element
                    let gap = Double(example.features.values[place]) - Double(example.entries.values[place])
                    total += gap * gap
                }
                sums.append(total)
                elements.append((number, element))
            }
        }
        guard total > 0, total.isFinite else { return }
        for code in 0..<count where !used.contains(code) {
            let bits = randomness.block(
                .codes,
                SIMD3(UInt32(truncatingIfNeeded: step), UInt32(truncatingIfNeeded: step >> 32), UInt32(code)))
            let share = Double(UInt64(bits[0]) << 32 | UInt64(bits[1])) * 0x1p-64
            let chosen = min(sums.partitioningIndex { $0 > share * total }, sums.count - 1)
            let (number, element) = elements[chosen]
            let example = examples[number]
            for channel in 0..<width {
                values[code * width + channel] =
                    example.features.values[channel * example.indices.count + element]
            }
        }
    }
}
