// nifti2_io.h includes <znzlib.h>, which Debian installs beside it rather than on the search path.
#include <nifti/znzlib.h>
