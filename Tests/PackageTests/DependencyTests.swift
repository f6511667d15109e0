import Foundation
import TestSupport
import Testing

/// The package holds to its design: what stands on what, and what needs something installed.
struct DependencyTests {
    private let package: PackageManifest

    init() throws { package = try PackageManifest.load() }

    /// What each module may stand on, in the order of the design. A new module goes here first.
    private let design: KeyValuePairs<String, Set<String>> = [
        "VoxelSupport": [],
        "Volumes": ["VoxelSupport"],
        "VolumeIO": ["VoxelSupport", "Volumes", "CNIfTI", "CISAL"],
        "Preprocessing": ["VoxelSupport", "Volumes"],
        "VolumeRegistration": ["VoxelSupport", "Volumes", "Preprocessing", "CLAPACKE"],
        "StyleKeys": ["VoxelSupport", "Volumes", "Preprocessing", "CVoxelKernels"],
        "BridgeDiffusion": ["VoxelSupport"],
        "DiffusionSampling": ["VoxelSupport", "BridgeDiffusion"],
        "SliceSampling": ["Volumes", "BridgeDiffusion", "DiffusionSampling"],
        "VolumeMetrics": ["VoxelSupport", "Volumes", "StyleKeys", "CVoxelKernels"],
        "VolumeFigures": [
            "VoxelSupport", "Volumes", "Preprocessing", "StyleKeys", "VolumeMetrics", "CPNG", "CZlib",
        ],
        "VolumePhantoms": ["VoxelSupport", "Volumes", "Preprocessing"],
        "VolumeTranslation": [
            "VoxelSupport", "Volumes", "Preprocessing", "StyleKeys", "BridgeDiffusion", "DiffusionSampling",
            "SliceSampling",
        ],
        "TensorFiles": ["VoxelSupport", "DiffusionSampling"],
        "Networks": ["VoxelSupport", "TensorFiles"],
        "NetworkEngine": ["VoxelSupport", "TensorFiles", "Networks", "COpenBLAS", "CVoxelKernels"],
        "ReferenceUNet": [
            "VoxelSupport", "Volumes", "StyleKeys", "DiffusionSampling", "SliceSampling", "VolumeTranslation",
            "TensorFiles", "Networks", "NetworkEngine",
        ],
        "LatentTranslation": [
            "VoxelSupport", "Volumes", "Preprocessing", "BridgeDiffusion", "DiffusionSampling", "TensorFiles",
            "Networks", "NetworkEngine",
        ],
        "InferenceProtocol": ["VoxelSupport", "TensorFiles"],
        "RemoteDenoising": [
            "VoxelSupport", "TensorFiles", "VolumeTranslation", "InferenceProtocol", "AsyncHTTPClient",
        ],
        "DenoisingServer": ["VoxelSupport", "ReferenceUNet", "InferenceProtocol", "Hummingbird", "Logging"],
        "BridgeTraining": [
            "VoxelSupport", "Volumes", "VolumeIO", "Preprocessing", "VolumeRegistration", "StyleKeys",
            "BridgeDiffusion", "DiffusionSampling", "SliceSampling", "VolumeFigures", "VolumeTranslation",
            "TensorFiles", "Networks",
            "NetworkEngine", "ReferenceUNet",
        ],
        "LatentTraining": [
            "VoxelSupport", "Volumes", "VolumeIO", "BridgeDiffusion", "DiffusionSampling", "VolumeFigures",
            "TensorFiles", "Networks", "NetworkEngine", "LatentTranslation", "BridgeTraining",
        ],
        "VoxelBridge": ["VolumeIO", "VolumeMetrics", "ReferenceUNet", "VolumeTranslation"],
        "VoxelBridgeTool": [
            "VoxelSupport", "VoxelBridge", "LatentTranslation", "VolumeRegistration", "BridgeTraining",
            "LatentTraining", "VolumeFigures", "RemoteDenoising", "DenoisingServer",
            "VolumePhantoms", "TensorFiles", "Networks", "NetworkEngine", "ArgumentParser", "Logging",
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
        "VoxelSupport", "Volumes", "Preprocessing", "StyleKeys", "BridgeDiffusion", "DiffusionSampling",
        "SliceSampling", "VolumeMetrics", "VolumePhantoms", "VolumeTranslation", "TensorFiles", "Networks",
        "InferenceProtocol",
    ])
    func theCoreNeedsNothingInstalled(module: String) {
        let outside = package.reach(of: module).subtracting(package.modules.map(\.name))
        #expect(outside.isSubset(of: ["CVoxelKernels"]), "\(module) reaches \(outside)")
    }

    /// Who does not serve networks or use served ones builds and links nothing of HTTP.
    @Test func onlyLeavesReachTheNetwork() {
        let libraries: Set = ["AsyncHTTPClient", "Hummingbird"]
        let users = package.modules.map(\.name).filter { !package.reach(of: $0).isDisjoint(with: libraries) }
        #expect(Set(users) == ["RemoteDenoising", "DenoisingServer", "VoxelBridgeTool"])
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
                "Preprocessing": ["Preprocessing"],
                "VolumeIO": ["VolumeIO"],
                "VolumeRegistration": ["VolumeRegistration"],
                "StyleKeys": ["StyleKeys"],
                "BridgeDiffusion": ["BridgeDiffusion"],
                "DiffusionSampling": ["DiffusionSampling"],
                "SliceSampling": ["SliceSampling"],
                "VolumeMetrics": ["VolumeMetrics"],
                "VolumeFigures": ["VolumeFigures"],
                "VolumePhantoms": ["VolumePhantoms"],
                "TensorFiles": ["TensorFiles"],
                "ReferenceUNet": ["ReferenceUNet"],
                "LatentTranslation": ["LatentTranslation"],
                "BridgeTraining": ["BridgeTraining"],
                "LatentTraining": ["LatentTraining"],
                "VolumeTranslation": ["VolumeTranslation"],
                "RemoteDenoising": ["RemoteDenoising"],
                "DenoisingServer": ["DenoisingServer"],
                "VoxelBridge": ["VoxelBridge"],
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
