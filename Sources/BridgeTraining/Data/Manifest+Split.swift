extension Manifest {
    /// What a subject is for.
    public enum Split: String, CaseIterable, Sendable {
        /// The network learns from it.
        case train
        /// The network is judged by it.
        case validation
        /// Training leaves it alone.
        case test
    }
}

extension Manifest.Split {
    /// What each of so many subjects is for, by shares: the first ones to train on, then those for validation, then
    /// for test. Their order should say nothing of them.
    ///
    /// The counts are the nearest to the shares, with one of each at least from three subjects on where its share is
    /// above zero.
    ///
    /// - Parameters:
    ///   - count: number of subjects.
    ///   - validation: share of subjects for validation, 0 to 1.
    ///   - test: share of subjects for test; with `validation` at most 1.
    public static func splits(count: Int, validation: Double = 0.1, test: Double = 0.1) -> [Manifest.Split] {
        precondition(validation >= 0 && test >= 0 && validation + test <= 1, "shares must not exceed one")
        func number(_ share: Double) -> Int {
            max(Int((Double(count) * share).rounded()), count >= 3 && share > 0 ? 1 : 0)
        }
        var (validating, testing) = (number(validation), number(test))
        let training = count >= 3 && validation + test < 1 ? 1 : 0
        while validating + testing > count - training {
            if validating > testing { validating -= 1 } else { testing -= 1 }
        }
        return Array(repeating: .train, count: count - validating - testing)
            + Array(repeating: .validation, count: validating) + Array(repeating: .test, count: testing)
    }
}
