/// The exponential moving average of a network's parameters, which gives the better images.
///
/// As published, it is updated at every `interval`-th step after `start`. Before its first update it is the parameters
/// themselves.
struct MovingAverage: Equatable, Sendable {
    /// Decay, interval and start.
    let settings: MovingAverageSettings

    /// The average.
    var values: ParameterSet

    /// Takes in the parameters after a step, counted from 1.
    mutating func update(with parameters: ParameterSet, step: Int) {
        if step == settings.start {
            values = parameters
        } else if step > settings.start, step % settings.interval == 0 {
            values.blend(Float(settings.decay), Float(1 - settings.decay), parameters)
        }
    }

    /// Whether it has been updated by a step.
    func isUnderWay(after step: Int) -> Bool { step / settings.interval * settings.interval > settings.start }
}
