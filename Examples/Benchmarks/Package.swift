// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "Benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "VoxelBridge", path: "../.."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    ],
    targets: [
        .executableTarget(
            name: "benchmarks",
            dependencies: [
                .product(name: "BridgeTraining", package: "VoxelBridge"),
                .product(name: "ReferenceUNet", package: "VoxelBridge"),
                .product(name: "SliceSampling", package: "VoxelBridge"),
                .product(name: "StyleKeys", package: "VoxelBridge"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Sources/Benchmarks")
    ]
)
