/// The last of a run's states. Each of the others is saved while the step after it is made, so that no step waits for a disk.
///
/// - Parameters:
///   - states: the states, one after each step.
///   - isLast: whether the run ends with a state.
///   - save: writes a state; what it has begun is complete when this function returns or throws.
/// - Throws: what a step throws; what `save` throws, after the step made meanwhile.
func lastState<States: AsyncSequence>(
    of states: States, isLast: (States.Element) -> Bool,
    save: @escaping @Sendable (States.Element) throws -> Void
) async throws -> States.Element where States.Element: Sendable {
    var steps = states.makeAsyncIterator()
    guard var state = try await steps.next() else { throw CancellationError() }
    while !isLast(state) {
        let made = state
        async let saving: Void = save(made)
        guard let next = try await steps.next() else { throw CancellationError() }
        try await saving
        state = next
    }
    return state
}
