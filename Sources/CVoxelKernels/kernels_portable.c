// As many registers as arm64 has, 32 of four numbers: 6 x 16 sums, four of B, one of A.
#define KERNELS voxel_kernels_portable
#define KERNELS_NAME "portable"
#define PANEL_ROWS 6
#define PANEL_BLOCKS 1

#include "kernels.h"
