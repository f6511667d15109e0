import Foundation
import TestSupport
import Testing

/// What the source files import agrees with what the package declares.
struct ImportTests {
    private let package: PackageManifest

    init() throws { package = try PackageManifest.load() }

    /// What comes with Swift itself.
    private let toolchain: Set<String> = ["Foundation", "Dispatch", "Synchronization"]

    @Test func modulesImportWhatTheyDeclareAndNothingElse() throws {
        for module in package.modules {
            let sources = try SwiftSources(in: "Sources/\(module.name)")
            for (file, imports) in sources.imports {
                let undeclared = imports.subtracting(module.dependencies).subtracting(toolchain)
                #expect(
                    undeclared.isEmpty, "\(file) imports \(undeclared), which \(module.name) does not declare")
            }
            let unused = module.dependencies.subtracting(sources.imports.values.joined())
            #expect(unused.isEmpty, "\(module.name) declares \(unused) and never imports it")
        }
    }

    /// A test may also import what comes with the module under test.
    @Test func testsImportWhatTheyReach() throws {
        for target in package.targets where target.kind == .test {
            let reachable = package.reach(of: target.name).union(toolchain).union(["Testing"])
            for (file, imports) in try SwiftSources(in: "Tests/\(target.name)").imports {
                #expect(imports.isSubset(of: reachable), "\(file) imports \(imports.subtracting(reachable))")
            }
        }
    }

    @Test(arguments: [
        ("import Volumes", "Volumes"), ("@_exported import Volumes", "Volumes"),
        ("public import struct Volumes.Volume", "Volumes"), ("    @testable   import  Volumes", "Volumes"),
        ("// import Volumes", nil), ("let text = \"import Volumes\"", nil), ("importVolumes()", nil),
    ])
    func importsAreFoundInEveryForm(line: String, module: String?) {
        #expect(SwiftSources.imports(of: "\n\(line)\n") == Set([module].compactMap { $0 }))
    }
}
