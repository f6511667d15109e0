#if defined(__x86_64__)

// 16 registers of eight numbers: 6 x 16 sums, two of B, one of A.
#define KERNELS voxel_kernels_avx2
#define KERNELS_NAME "avx2"
#define PANEL_ROWS 6
#define PANEL_BLOCKS 1

#include <math.h>
#include <stdint.h>
#include <string.h>
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#include "kernels.h"
#pragma clang attribute pop

#endif
