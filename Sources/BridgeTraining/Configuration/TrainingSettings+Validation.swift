/// Checks of settings, each under the name of the field that holds them.
extension OptimizerSettings {
    package func validate(under name: String) throws(TrainingConfigurationError) {
        try require(
            "\(name).learning_rate", learningRate, learningRate > 0 && learningRate.isFinite, "above 0")
        try requireFraction("\(name).beta1", beta1)
        try requireFraction("\(name).beta2", beta2)
        try require("\(name).epsilon", epsilon, epsilon > 0, "above 0")
        try require("\(name).weight_decay", weightDecay, weightDecay >= 0 && weightDecay.isFinite, "0 or more")
        if let gradientClip {
            try require(
                "\(name).gradient_clip", gradientClip, gradientClip > 0, "above 0, or null for no limit")
        }
    }
}

extension RateSchedule {
    package func validate(under name: String, rate: Double) throws(TrainingConfigurationError) {
        try requireFraction("\(name).factor", factor)
        try require("\(name).patience", patience, patience >= 0, "0 or more")
        try require("\(name).cooldown", cooldown, cooldown >= 0, "0 or more")
        try requireFraction("\(name).threshold", threshold)
        try require(
            "\(name).minimum", minimum, (0...rate).contains(minimum), "0 to \(rate), the learning rate")
        try requirePositive("\(name).period", period)
        try require("\(name).warmup", warmup, (0...period).contains(warmup), "0 to \(period), the period")
    }
}

extension MovingAverageSettings {
    package func validate(under name: String) throws(TrainingConfigurationError) {
        try requireFraction("\(name).decay", decay)
        try requirePositive("\(name).interval", interval)
        try require("\(name).start", start, start >= 0, "0 or more")
    }
}

extension IntervalSettings {
    package func validate(under name: String) throws(TrainingConfigurationError) {
        try requirePositive("\(name).log", log)
        try requirePositive("\(name).validation", validation)
        try requirePositive("\(name).samples", samples)
        try requirePositive("\(name).checkpoint", checkpoint)
    }
}

extension AdversarialSettings {
    func validate(under name: String) throws(TrainingConfigurationError) {
        try require("\(name).weight", weight, weight >= 0 && weight.isFinite, "0 or more")
        try require("\(name).start", start, start >= 0, "0 or more")
        try require("\(name).width", width, (1...4096).contains(width), "1 to 4096")
        try require("\(name).layers", layers, (1...8).contains(layers), "1 to 8")
        try require(
            "\(name).num_groups", groups, groups > 0 && 2 * width % groups == 0,
            "a divisor of \(2 * width), twice the width")
    }
}

private func requireFraction(_ field: String, _ value: Double) throws(TrainingConfigurationError) {
    try require(field, value, (0..<1).contains(value), "from 0 to below 1")
}

private func requirePositive(_ field: String, _ value: Int) throws(TrainingConfigurationError) {
    try require(field, value, value > 0, "1 or more")
}
