#if defined(__x86_64__)

// 32 registers of sixteen numbers: 14 x 2 sums, two of B, one of A.
#define KERNELS voxel_kernels_avx512
#define KERNELS_NAME "avx512"
#define PANEL_ROWS 14
#define PANEL_BLOCKS 2

#include <math.h>
#include <stdint.h>
#include <string.h>
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"))), apply_to = function)
#include "kernels.h"
#pragma clang attribute pop

#endif
