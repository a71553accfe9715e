/* attach.c: is this program a Go program? If so, take over its system calls. This runs before the program's first
 * instruction, so no thread is in the code that changes. All other programs pay for it with a look at what the
 * kernel and the loader have read anyway. */
#include "go/go.h"

#include "core/go_signature.h"
#include "core/text.h"
#include "sys/logfile.h"
#include "sys/stacks.h"

#include <elf.h>
#include <sys/mman.h>

/* ---- the main program, as it lies in memory ---- */

struct program {
    const Elf64_Phdr *header;
    size_t headers;
    uintptr_t bias;
};

/* Some static programs have no entry for the headers themselves: they follow the ELF header, where the file begins. */
static bool find_bias(struct program *p)
{
    bool usual = ((uintptr_t)p->header & 4095) == sizeof(Elf64_Ehdr);
    for (size_t i = 0; p->header && i < p->headers; i++) {
        const Elf64_Phdr *h = &p->header[i];
        if (h->p_type == PT_PHDR || (usual && h->p_type == PT_LOAD && h->p_offset == 0)) {
            p->bias = (uintptr_t)p->header - h->p_vaddr - (h->p_type == PT_PHDR ? 0 : sizeof(Elf64_Ehdr));
            return true;
        }
    }
    return false;
}

enum { ENTRIES_MAX = 64 }; /* of the auxiliary vector */

static bool find_program(const unsigned long *auxv, struct program *p)
{
    memset(p, 0, sizeof *p);
    for (unsigned i = 0; auxv && i < ENTRIES_MAX && auxv[2 * i] != AT_NULL; i++) {
        if (auxv[2 * i] == AT_PHDR)
            p->header = (const Elf64_Phdr *)auxv[2 * i + 1];
        else if (auxv[2 * i] == AT_PHNUM)
            p->headers = auxv[2 * i + 1];
        else if (auxv[2 * i] == AT_PHENT && auxv[2 * i + 1] != sizeof(Elf64_Phdr))
            return false;
    }
    return find_bias(p);
}

static const uint8_t *in_memory(const struct program *p, const Elf64_Phdr *h)
{
    return (const uint8_t *)(p->bias + h->p_vaddr);
}

static bool is_static(const struct program *p)
{
    for (size_t i = 0; i < p->headers; i++)
        if (p->header[i].p_type == PT_INTERP)
            return false;
    return true;
}

/* Worth a look into its data? Go's linker reserves one word of thread-local storage, for g (runtime.tlsg); and the
 * library is in a static program only if that is Go. */
static bool may_be_go(const struct program *p)
{
    for (size_t i = 0; i < p->headers; i++) {
        const Elf64_Phdr *h = &p->header[i];
        if (h->p_type == PT_TLS && h->p_memsz == sizeof(void *) && h->p_filesz == 0)
            return true;
    }
    return is_static(p);
}

static bool has_buildinfo(const struct program *p, const Elf64_Phdr *h)
{
    enum { LOOK = 64 << 10 }; /* as far as debug/buildinfo looks */
    return h->p_type == PT_LOAD && (h->p_flags & PF_W) != 0 && (h->p_flags & PF_R) != 0 &&
           go_signature_has_buildinfo(in_memory(p, h), h->p_filesz < LOOK ? h->p_filesz : LOOK);
}

static bool is_go(const struct program *p)
{
    bool perhaps = may_be_go(p);
    for (size_t i = 0; i < p->headers; i++) {
        const Elf64_Phdr *h = &p->header[i];
        if (h->p_type == PT_NOTE && go_signature_is_note(in_memory(p, h), h->p_filesz))
            return true;
        if (perhaps && has_buildinfo(p, h))
            return true;
    }
    return false;
}

/* ---- its routine ---- */

static uint8_t *find_routine(const struct program *p, unsigned *hits)
{
    struct go_signature found = {0, 0};
    uint8_t *at = NULL;
    for (size_t i = 0; i < p->headers; i++) {
        const Elf64_Phdr *h = &p->header[i];
        unsigned before = found.hits;
        if (h->p_type != PT_LOAD || (h->p_flags & (PF_R | PF_W | PF_X)) != (PF_R | PF_X))
            continue;
        go_signature_find(in_memory(p, h), h->p_filesz, p->bias + h->p_vaddr, &found);
        if (found.hits > before)
            at = (uint8_t *)(p->bias + h->p_vaddr) + found.at;
    }
    *hits = found.hits;
    return at;
}

/* The size of a page, which is the kernel's choice on some architectures. */
static uintptr_t page_of(const unsigned long *auxv)
{
    for (unsigned i = 0; i < ENTRIES_MAX && auxv[2 * i] != AT_NULL; i++)
        if (auxv[2 * i] == AT_PAGESZ)
            return auxv[2 * i + 1];
    return 4096;
}

/* Writable and executable at once: where that is refused (MemoryDenyWriteExecute, SELinux), so is the first request,
 * and nothing has changed. */
static bool patch(uint8_t *at, uintptr_t page)
{
    uintptr_t first = (uintptr_t)at & ~(page - 1),
              size = (((uintptr_t)at + ARCH_JUMP + page - 1) & ~(page - 1)) - first;
    if (sys3(SYS_mprotect, first, size, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
        return false;
    arch_write_jump(at, go_entry);
    sys3(SYS_mprotect, first, size, PROT_READ | PROT_EXEC);
    return true;
}

/* Said at once, on the standard error: this program will not be heard of again. */
static void complain(const char *why)
{
    char line[256];
    struct text t;
    text_init(&t, line, sizeof line);
    text_str(&t, "lastcall: this Go program is not drained: ");
    text_str(&t, why);
    text_str(&t, "\n");
    if (config.log >= LOG_WARN)
        logfile_write(2, line, t.len);
}

void go_attach(const unsigned long *auxv)
{
    struct program program;
    unsigned hits;
    if (!find_program(auxv, &program) || !is_go(&program))
        return;
    uint8_t *at = find_routine(&program, &hits);
    if (hits != 1)
        complain(hits == 0 ? "its Syscall6 is not one that is known (Go before 1.19, or changed by someone else)"
                           : "it has more than one Syscall6");
    else if (!stacks_make())
        complain("there is no memory for stacks");
    else if (!patch(at, page_of(auxv)))
        complain("its code may not be changed (MemoryDenyWriteExecute, SELinux)");
    else
        go_want_numbers();
    self_set_injected(is_static(&program));
}
