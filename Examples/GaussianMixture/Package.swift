// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "GaussianMixture",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "VoxelBridge", path: "../..")],
    targets: [
        .executableTarget(
            name: "GaussianMixture",
            dependencies: [
                .product(name: "BridgeDiffusion", package: "VoxelBridge"),
                .product(name: "SliceSampling", package: "VoxelBridge"),
            ])
    ]
)
