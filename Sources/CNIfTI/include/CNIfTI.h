// libnifti's second-generation interface, which reads and writes both NIfTI-1 and NIfTI-2.
#include <nifti/nifti2_io.h>
