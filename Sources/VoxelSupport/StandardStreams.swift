import Foundation

/// The standard streams of the process.
package enum StandardStreams {
    /// Opens what the caller has closed: otherwise the next file that is opened would take its place, and receive what is
    /// printed. Nothing can be written to standard output then, and what is written to standard error is lost.
    package static func openMissing() {
        for (stream, mode) in [(STDIN_FILENO, O_RDONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY)]
        where fcntl(stream, F_GETFD) < 0 && errno == EBADF {
            // The lowest number that is free, which is this stream's.
            _ = open("/dev/null", mode)
        }
    }

    /// Writes to standard error, and neither fails nor ends the process: what cannot be written is lost.
    package static func writeError(_ text: String) {
        withoutBrokenPipeSignal {
            var text = text
            text.withUTF8 { try? writeAll(UnsafeRawBufferPointer($0), to: STDERR_FILENO) }
        }
    }

    /// Runs `body`, in which writing to a pipe that nobody reads is an error only.
    private static func withoutBrokenPipeSignal(_ body: () -> Void) {
        #if canImport(Darwin)
            _ = fcntl(STDERR_FILENO, F_SETNOSIGPIPE, 1)
            body()
        #else
            var (pipe, before, pending) = (sigset_t(), sigset_t(), sigset_t())
            sigemptyset(&pipe)
            sigaddset(&pipe, SIGPIPE)
            sigpending(&pending)
            let wasPending = sigismember(&pending, SIGPIPE) == 1
            pthread_sigmask(SIG_BLOCK, &pipe, &before)
            body()
            // The signal of this thread's own write is taken back.
            var now = timespec()
            if !wasPending { while sigtimedwait(&pipe, nil, &now) < 0, errno == EINTR {} }
            pthread_sigmask(SIG_SETMASK, &before, nil)
        #endif
    }
}
