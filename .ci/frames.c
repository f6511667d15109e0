// Gives the frame of every asynchronous call a block of its own on the heap, where AddressSanitizer sees what is
// written past its end or after its release. Swift's runtime carves frames out of larger blocks, which hides both.
#include <stdlib.h>

void *swift_task_alloc(size_t size) { return malloc(size); }
void swift_task_dealloc(void *frame) { free(frame); }
void swift_task_dealloc_through(void *frame) {}  // Leaves the frames of an abandoned call where they are.
