// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "StandaloneSampler",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "VoxelBridge", path: "../..")],
    targets: [
        .executableTarget(
            name: "StandaloneSampler",
            dependencies: [.product(name: "SliceSampling", package: "VoxelBridge")])
    ]
)
