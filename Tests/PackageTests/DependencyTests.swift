import Foundation
import TestSupport
import Testing

/// The package holds to its design: what stands on what, and what needs something installed.
struct DependencyTests {
    private let package: PackageManifest

    init() throws { package = try PackageManifest.load() }

    /// What each module may stand on, in the order of the design. A new module goes here first.
    private let design: KeyValuePairs<String, Set<String>> = [
        "Volumes": [],
        "VolumeIO": ["Volumes", "CNIfTI"],
        "Preprocessing": ["Volumes"],
        "StyleKeys": ["Volumes"],
        "BridgeDiffusion": [],
        "SliceSampling": ["Volumes", "BridgeDiffusion"],
        "VolumeMetrics": ["Volumes"],
        "VolumeFigures": ["Volumes", "CPNG"],
        "VolumePhantoms": ["Volumes", "Preprocessing"],
        "TensorFiles": [],
        "Networks": ["TensorFiles"],
        "NetworkEngine": ["TensorFiles", "Networks", "COpenBLAS", "CVoxelKernels"],
        "ReferenceUNet": ["TensorFiles", "Networks", "NetworkEngine", "SliceSampling", "StyleKeys"],
        "BridgeTraining": [
            "Volumes", "VolumeIO", "Preprocessing", "StyleKeys", "BridgeDiffusion", "SliceSampling",
            "VolumeFigures", "TensorFiles", "Networks", "NetworkEngine", "ReferenceUNet",
        ],
        "VolumeTranslation": [
            "Volumes", "VolumeIO", "Preprocessing", "StyleKeys", "BridgeDiffusion", "SliceSampling",
            "VolumeMetrics", "ReferenceUNet",
        ],
        "VoxelBridgeTool": [
            "VolumeTranslation", "BridgeTraining", "VolumeFigures", "VolumePhantoms", "TensorFiles",
            "Networks", "NetworkEngine", "ArgumentParser", "Logging",
        ],
    ]

    @Test func modulesStandOnWhatTheDesignAllows() {
        #expect(Set(package.modules.map(\.name)) == Set(design.map(\.key)))
        for (name, allowed) in design {
            let dependencies = package.target(name)?.dependencies ?? []
            #expect(
                dependencies.isSubset(of: allowed), "\(name) depends on \(dependencies.subtracting(allowed))")
        }
    }

    @Test func dependenciesPointDown() {
        let names = design.map(\.key)
        for (index, name) in names.enumerated() {
            let own = (package.target(name)?.dependencies ?? []).intersection(names)
            #expect(own.isSubset(of: names[..<index]), "\(name) depends on \(own.subtracting(names[..<index]))")
        }
    }

    @Test(arguments: [
        "Volumes", "Preprocessing", "StyleKeys", "BridgeDiffusion", "SliceSampling", "VolumeMetrics",
        "VolumePhantoms", "TensorFiles", "Networks",
    ])
    func theCoreNeedsNothingInstalled(module: String) {
        let outside = package.reach(of: module).subtracting(package.modules.map(\.name))
        #expect(outside.isSubset(of: ["CVoxelKernels"]), "\(module) reaches \(outside)")
    }

    @Test func eachSystemLibraryHasOneModuleOnIt() {
        #expect(!package.systemLibraries.isEmpty)
        for library in package.systemLibraries {
            let users = package.targets.filter { $0.kind != .test && $0.dependencies.contains(library) }
            #expect(users.count == 1, "\(library) is used by \(users.map(\.name))")
        }
    }

    @Test func productsAreThoseOfTheDesign() {
        let products = Dictionary(uniqueKeysWithValues: package.products.map { ($0.name, Set($0.targets)) })
        #expect(
            products == [
                "VolumeIO": ["Volumes", "VolumeIO", "Preprocessing"],
                "StyleKeys": ["StyleKeys"],
                "BridgeDiffusion": ["BridgeDiffusion"],
                "SliceSampling": ["SliceSampling"],
                "VolumeMetrics": ["VolumeMetrics"],
                "VolumeFigures": ["VolumeFigures"],
                "VolumePhantoms": ["VolumePhantoms"],
                "TensorFiles": ["TensorFiles"],
                "ReferenceUNet": ["ReferenceUNet"],
                "BridgeTraining": ["BridgeTraining"],
                "VolumeTranslation": ["VolumeTranslation"],
                "voxelbridge": ["VoxelBridgeTool"],
            ])
    }

    /// A package with unsafe flags cannot be depended on.
    @Test func noTargetHasUnsafeFlags() {
        for target in package.targets {
            #expect(!target.settings.contains("unsafeFlags"), "\(target.name)")
        }
    }

    @Test func everyModuleIsTested() throws {
        for module in package.modules {
            #expect(package.target("\(module.name)Tests")?.kind == .test, "\(module.name) has no test target")
            let sources = try SwiftSources(in: "Tests/\(module.name)Tests")
            #expect(sources.text.contains { $0.value.contains("@Test") }, "\(module.name) has no test")
        }
    }
}
