#include "voxel_kernels.h"

extern const voxel_kernels voxel_kernels_portable;
#if defined(__x86_64__)
extern const voxel_kernels voxel_kernels_avx512, voxel_kernels_avx2;
#endif

size_t voxel_kernels_available(const voxel_kernels *kernels[3]) {
    size_t count = 0;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
        kernels[count++] = &voxel_kernels_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) kernels[count++] = &voxel_kernels_avx2;
#endif
    kernels[count++] = &voxel_kernels_portable;
    return count;
}

const voxel_kernels *voxel_kernels_here(void) {
    const voxel_kernels *kernels[3];
    voxel_kernels_available(kernels);
    return kernels[0];
}
