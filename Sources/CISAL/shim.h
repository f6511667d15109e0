#include <isa-l/igzip_lib.h>

// The macro is too deep for Swift.
enum { isal_level2_buffer_bytes = ISAL_DEF_LVL2_DEFAULT };
