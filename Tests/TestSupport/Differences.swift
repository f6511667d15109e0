/// The relative L2 error of values against a reference: `||a - b|| / ||b||`.
public func relativeL2(_ values: some Collection<Float>, _ reference: some Collection<Float>) -> Double {
    precondition(values.count == reference.count)
    var (difference, norm) = (0.0, 0.0)
    for (value, expected) in zip(values, reference) {
        let error = Double(value) - Double(expected)
        difference += error * error
        norm += Double(expected) * Double(expected)
    }
    return (difference / norm).squareRoot()
}

/// The largest absolute difference between values and a reference.
public func largestDifference(_ values: some Collection<Float>, _ reference: some Collection<Float>) -> Float {
    precondition(values.count == reference.count)
    return zip(values, reference).map { abs($0 - $1) }.max() ?? 0
}
