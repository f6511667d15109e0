// Watches the frames of asynchronous calls, for LD_PRELOAD: a frame that is written past its end is reported with the
// function that made the call, and the process then fails. Swift's runtime carves frames out of larger blocks, which hides
// this; and compilers up to Swift 6.3 at least give some functions a frame that is a word too small.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    size_t size;
    void *caller;
} Header;

enum { guard = 64, fill = 0xA5 };

static atomic_int overflows;

void *swift_task_alloc(size_t size) {
    Header *header = malloc(sizeof(Header) + size + guard);
    *header = (Header){size, __builtin_return_address(0)};
    memset((char *)(header + 1) + size, fill, guard);
    return header + 1;
}

void swift_task_dealloc(void *frame) {
    Header *header = (Header *)frame - 1;
    const unsigned char *end = (unsigned char *)frame + header->size;
    for (int offset = 0; offset < guard; offset++) {
        if (end[offset] == fill) continue;
        Dl_info caller = {0};
        dladdr(header->caller, &caller);
        fprintf(stderr, "A frame of %zu bytes was written at byte %zu: called from %s + %td\n", header->size,
            header->size + offset, caller.dli_sname ? caller.dli_sname : "unknown",
            (char *)header->caller - (char *)(caller.dli_saddr ? caller.dli_saddr : caller.dli_fbase));
        overflows++;
        break;
    }
    free(header);
}

void swift_task_dealloc_through(void *frame) {}  // Leaves the frames of an abandoned call where they are.

__attribute__((destructor)) static void fail(void) {
    if (overflows > 0) _exit(1);
}
