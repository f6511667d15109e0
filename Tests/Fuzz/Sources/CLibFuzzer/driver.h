#include <stddef.h>
#include <stdint.h>

// What compiler-rt's libFuzzer offers to a program with a main function of its own (FuzzerInterface.h).
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*test)(const uint8_t *data, size_t size));
