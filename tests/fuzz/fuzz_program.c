/* fuzz_program.c: any bytes as an ELF file: never a crash, always a verdict with a sentence. */
#include "../unit/elf_oracle.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static int fd = -1;
    if (fd < 0)
        fd = memfd_create("elf", MFD_CLOEXEC);
    if (!oracle_fill(fd, data, n))
        abort();
    const char *complaint = oracle_scan(fd);
    if (complaint) {
        fprintf(stderr, "%s: %s\n", complaint, oracle_verdict.reasons[0]);
        abort();
    }
    return 0;
}
