print("voxelbridge")
