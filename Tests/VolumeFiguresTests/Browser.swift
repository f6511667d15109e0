import Foundation
import Testing

/// A Chromium without a window, which runs a page and the checks that a test adds to it.
enum Browser {
    /// The program, where it is installed.
    static let program: URL? =
        ([ProcessInfo.processInfo.environment["CHROMIUM"]].compactMap(\.self)
        + ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"])
        .map { URL(filePath: $0) }.first { FileManager.default.isExecutableFile(atPath: $0.path) }

    /// Why a test of a page was skipped.
    static let missing: Comment = "no Chromium: install Debian's chromium, or set CHROMIUM to its path"

    /// Runs a page with a script at its end, the body of an asynchronous function, and decodes what that returns.
    ///
    /// - Throws: if the page or the script reports an error.
    static func run<Outcome: Decodable>(_ page: Data, in folder: URL, _ script: String) throws -> Outcome {
        let watch = """
            <script>
            const failures = [];
            addEventListener('error', event => failures.push(String(event.message)));
            addEventListener('unhandledrejection', event => failures.push(String(event.reason)));
            addEventListener('securitypolicyviolation', event => failures.push('blocked ' + event.blockedURI));
            </script>
            """
        let check = """
            <script>
            (async () => {
                let outcome = null;
                try { outcome = await (async () => { \(script) })(); } catch (error) { failures.push(String(error)); }
                const element = document.createElement('script');
                element.type = 'application/json';
                element.id = 'outcome';
                element.textContent = JSON.stringify({ outcome, failures }).replaceAll('<', '');
                document.body.append(element);
            })();
            </script>
            """
        let html = String(decoding: page, as: UTF8.self)
            .replacing("<head>", with: "<head>" + watch).replacing("</body>", with: check + "</body>")
        let file = folder.appending(path: "page.html")
        try Data(html.utf8).write(to: file)
        let output = folder.appending(path: "dom.html")
        try Data().write(to: output)
        let process = Process()
        process.executableURL = try #require(program)
        process.arguments = [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--user-data-dir=\(folder.appending(path: "profile").path)", "--virtual-time-budget=20000",
            "--dump-dom", file.absoluteString,
        ]
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        let dom = try String(contentsOf: output, encoding: .utf8)
        let start = try #require(dom.range(of: "id=\"outcome\">"), "the script did not end")
        let end = try #require(dom[start.upperBound...].range(of: "</script>"))
        let result = try JSONDecoder().decode(
            Result<Outcome>.self, from: Data(dom[start.upperBound..<end.lowerBound].utf8))
        try #require(result.failures.isEmpty, "\(result.failures)")
        return try #require(result.outcome)
    }

    private struct Result<Outcome: Decodable>: Decodable {
        let outcome: Outcome?
        let failures: [String]
    }
}
