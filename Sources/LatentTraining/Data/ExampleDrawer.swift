import BridgeTraining
import DiffusionSampling

/// Chooses examples: subjects, modalities, flips, timesteps and noise.
///
/// Each choice is a function of the seed and of the example's number k in the run, from 0. With n subjects, example k is
/// of subject number k mod n in the permutation of epoch k / n. Source and target are two modalities of the subject, drawn
/// without replacement; the source is one of those that may be sources.
struct ExampleDrawer: Sendable {
    /// One example.
    struct Example: Equatable, Sendable {
        let subject: Int
        /// Classes.
        let source, target: Int
        let flips: Flips
        /// A number uniform on 0 to 1, for the timestep.
        let place: Double
        let noise: NoiseField
    }

    private let data: ModalityDataset
    /// The indices of the subjects that examples are of.
    let subjects: [Int]
    /// The classes that may be sources.
    private let sources: Set<Int>
    private let flips: Double
    private let randomness: Randomness
    private var epoch: (number: Int, order: [Int])?

    /// - Parameters:
    ///   - data: the subjects.
    ///   - needsPairs: whether only subjects with two modalities are used.
    ///   - sources: the modalities that may be sources; nil for all.
    ///   - flips: the probability of a flip along each axis.
    ///   - seed: the seed of all choices.
    init(_ data: ModalityDataset, needsPairs: Bool, sources: [String]? = nil, flips: Double, seed: UInt64) {
        let allowed = Set(data.targets.indices.filter { sources?.contains(data.targets[$0]) ?? true })
        (self.data, self.sources, self.flips, randomness) = (data, allowed, flips, Randomness(seed: seed))
        subjects = data.subjects.indices.filter {
            let classes = data.classes(of: $0)
            return !allowed.isDisjoint(with: classes) && (!needsPairs || classes.count > 1)
        }
    }

    /// The first modality of a subject that may be a source; nil for none.
    func firstSource(of subject: Int) -> Int? { data.classes(of: subject).first(where: sources.contains) }

    /// The example with a number in the run.
    mutating func example(_ number: Int) -> Example {
        let subject = subjects[index(of: number)]
        let classes = data.classes(of: subject)
        func bits(_ part: UInt32, purpose: Randomness.Purpose = .example) -> SIMD4<UInt32> {
            randomness.block(
                purpose,
                SIMD3(UInt32(truncatingIfNeeded: number), UInt32(truncatingIfNeeded: number >> 32), part))
        }
        let (choice, coins, time) = (bits(0), bits(1), bits(2))
        let candidates = classes.filter(sources.contains)
        let source = candidates[Randomness.number(below: candidates.count, from: choice)]
        // The targets that are left; of a subject with one modality, those of the model.
        let others = (classes.count > 1 ? classes : Array(data.targets.indices)).filter { $0 != source }
        let second = Randomness.number(below: max(1, others.count), from: SIMD4(choice[2], choice[3], 0, 0))
        var flipped: Flips = []
        for axis in 0..<3 where Double(coins[axis]) * 0x1p-32 < flips {
            flipped.insert(Flips(rawValue: 1 << axis))
        }
        return Example(
            subject: subject, source: source, target: others.isEmpty ? source : others[second], flips: flipped,
            place: Double(time[0]) * 0x1p-32,
            noise: NoiseField(seed: UInt64(time[2]) << 32 | UInt64(time[3])))
    }

    /// Examples that are the same in every call: unflipped, spread evenly over all pairs of a subject's modalities, and
    /// over the timesteps. At most `count`.
    func validationExamples(_ count: Int) -> [Example] {
        let pairs = subjects.flatMap { subject -> [(subject: Int, source: Int, target: Int)] in
            let classes = data.classes(of: subject)
            return classes.filter(sources.contains).flatMap { source in
                (classes.count > 1 ? classes.filter { $0 != source } : [source]).map { (subject, source, $0) }
            }
        }
        let count = min(count, pairs.count)
        return (0..<count).map { number in
            let pair = pairs[number * pairs.count / count]
            let bits = randomness.block(.validation, SIMD3(UInt32(number), 0, 0))
            // Multiples of the golden ratio: neighbours get distant timesteps.
            let place = (Double(number) * 0.618_033_988_749_895).truncatingRemainder(dividingBy: 1)
            return Example(
                subject: pair.subject, source: pair.source, target: pair.target, flips: [], place: place,
                noise: NoiseField(seed: UInt64(bits[0]) << 32 | UInt64(bits[1])))
        }
    }

    private mutating func index(of number: Int) -> Int {
        let (number, place) = number.quotientAndRemainder(dividingBy: subjects.count)
        if epoch?.number != number {
            epoch = (number, randomness.permutation(of: subjects.count, epoch: number))
        }
        return epoch!.order[place]
    }
}
