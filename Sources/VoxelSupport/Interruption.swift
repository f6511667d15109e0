import Foundation

/// What the program does when a signal ends it.
package enum Interruption {
    /// From now on SIGINT, SIGTERM and SIGHUP remove the files that are not finished, and then end the process by that
    /// signal. A signal that was ignored when the program started stays ignored.
    ///
    /// For the first lines of a program: only threads that start later are covered.
    package static func endsCleanly() {
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGINT, SIGTERM, SIGHUP] {
            var action = sigaction()
            sigaction(number, nil, &action)
            #if canImport(Darwin)
                let isIgnored = unsafeBitCast(action.__sigaction_u.__sa_handler, to: Int.self) == 1
            #else
                let isIgnored = unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
            #endif
            if !isIgnored { sigaddset(&signals, number) }
        }
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        let thread = Thread { [signals] in
            var (signals, number) = (signals, Int32(0))
            while sigwait(&signals, &number) != 0 {}
            UnfinishedFiles.shared.removeAll {
                signal(number, SIG_DFL)
                pthread_sigmask(SIG_UNBLOCK, &signals, nil)
                kill(getpid(), number)
                // It comes to one of the threads that do not block it: this one.
                while true { pause() }
            }
        }
        thread.stackSize = 1 << 18
        thread.start()
    }
}
