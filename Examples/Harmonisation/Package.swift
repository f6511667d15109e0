// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "Harmonisation",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "VoxelBridge", path: "../..")],
    targets: [
        .executableTarget(
            name: "Harmonisation",
            dependencies: [
                .product(name: "VoxelBridge", package: "VoxelBridge"),
                .product(name: "VolumeFigures", package: "VoxelBridge"),
            ])
    ]
)
