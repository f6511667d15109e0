// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "Demo",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "VoxelBridge", path: "../..")],
    targets: [
        .executableTarget(
            name: "Demo",
            dependencies: [
                .product(name: "VolumeTranslation", package: "VoxelBridge"),
                .product(name: "VolumeFigures", package: "VoxelBridge"),
            ])
    ]
)
