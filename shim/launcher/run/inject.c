/* inject.c: see inject.h.
 *
 * A tracer, made by this process, attaches to the process that is about to execute the program (that process is the
 * tracer's parent, so Yama needs PR_SET_PTRACER first). The tracer stops the process at the exec, has the process
 * map the library and close its file, relocates the library, lets the library's entry point run (go_injected: the
 * constructor), and detaches. The program reaps the tracer before its first instruction. */
#include "launcher/run/inject.h"

#include "sys/syscall.h"
#include "launcher/inspect/elf_file.h"
#include "launcher/run/tracee.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = ARCH_PAGE_MAX }; /* the linker places the segments this far apart */

struct injection {
    const char *object, *path;
    int fd; /* the library; open in the program too, until the library is mapped */
    struct elf_file elf;
    struct tracee tracee;
    uint64_t base;    /* where the library is mapped in the program */
    const char *step; /* the current step, for messages */
    int problem_to;
};

/* ---- the library's memory ---- */

static uint64_t page_down(uint64_t address)
{
    return address & ~(uint64_t)(PAGE - 1);
}

static uint64_t size_of(const struct elf_file *e)
{
    const GElf_Phdr *last = &e->loads[e->load_count - 1];
    return page_down(last->p_vaddr + last->p_memsz + PAGE - 1);
}

static int in_program(struct injection *x, long *ret, long nr, long a, long b, long c, long d, long e, long f)
{
    const long arguments[6] = {a, b, c, d, e, f};
    int error = tracee_call(&x->tracee, ret, nr, arguments);
    return error != 0 ? error : *ret < 0 && *ret >= -4095 ? (int)*ret : 0;
}

static int map_segment(struct injection *x, const GElf_Phdr *p)
{
    uint64_t from = page_down(p->p_vaddr), skipped = p->p_vaddr - from;
    long prot = (p->p_flags & PF_R ? PROT_READ : 0) | (p->p_flags & PF_W ? PROT_WRITE : 0) |
                (p->p_flags & PF_X ? PROT_EXEC : 0),
         at;
    if (p->p_memsz != p->p_filesz) /* the library is linked without .bss (shim/bss.ld) */
        return -ENOEXEC;
    return in_program(x, &at, SYS_mmap, (long)(x->base + from), (long)(p->p_filesz + skipped), prot,
                      MAP_PRIVATE | MAP_FIXED, x->fd, (long)(p->p_offset - skipped));
}

/* One mapping reserves the whole range, so that no other mapping can come in between; the segments are mapped over
 * that range. */
static int map_object(struct injection *x)
{
    long at, ignored;
    int ret = in_program(x, &at, SYS_mmap, 0, (long)size_of(&x->elf), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    x->base = (uint64_t)at;
    if (ret == 0 && x->base == 0)
        ret = -EFAULT;
    for (unsigned i = 0; i < x->elf.load_count && ret == 0; i++)
        ret = map_segment(x, &x->elf.loads[i]);
    int closed = in_program(x, &ignored, SYS_close, x->fd, 0, 0, 0, 0, 0);
    return ret != 0 ? ret : closed;
}

/* The address of a symbol: inside the library, or 0 for a weak symbol of libc, since a static Go program has no
 * libc. */
static int value_of(struct elf_file *e, uint64_t base, uint64_t index, uint64_t *value)
{
    size_t each = gelf_fsize(e->elf, ELF_T_SYM, 1, EV_CURRENT);
    Elf_Data *d = elf_file_at(e, e->symbols + index * each, each, ELF_T_SYM);
    GElf_Sym s;
    if (!d || !gelf_getsym(d, 0, &s))
        return -ENOEXEC;
    *value = s.st_shndx == SHN_UNDEF ? 0 : base + s.st_value;
    return 0;
}

static int relocate_one(struct injection *x, const GElf_Rela *r)
{
    uint64_t value = x->base;
    int ret = 0;
    switch (GELF_R_TYPE(r->r_info)) {
    case TRACEE_RELATIVE: break;
    case TRACEE_SLOT:
    case TRACEE_ADDRESS: ret = value_of(&x->elf, x->base, GELF_R_SYM(r->r_info), &value); break;
    default: return -ENOEXEC;
    }
    return ret != 0 ? ret : tracee_put(&x->tracee, x->base + r->r_offset, value + (uint64_t)r->r_addend);
}

static int relocate(struct injection *x, const struct elf_file_table *table)
{
    size_t each = gelf_fsize(x->elf.elf, ELF_T_RELA, 1, EV_CURRENT);
    Elf_Data *d = table->size ? elf_file_at(&x->elf, table->address, table->size, ELF_T_RELA) : NULL;
    int ret = table->size && (!d || d->d_size != table->size) ? -ENOEXEC : 0;
    for (size_t i = 0; d && i < table->size / each && ret == 0; i++) {
        GElf_Rela r;
        ret = gelf_getrela(d, (int)i, &r) ? relocate_one(x, &r) : -ENOEXEC;
    }
    return ret;
}

/* ---- the tracer ---- */

static void complain(const struct injection *x, int error)
{
    char line[PATH_MAX * 2];
    int n = snprintf(line, sizeof line, "lastcall: %s cannot be put into %s: %s: %s\n", x->object, x->path, x->step,
                     strerror(-error));
    if (write(x->problem_to, line, (size_t)n < sizeof line ? (size_t)n : sizeof line) < 0)
        return;
}

static int put_object(struct injection *x)
{
    x->step = "mapping it";
    int ret = map_object(x);
    x->step = ret == 0 ? "relocating it" : x->step;
    if (ret == 0)
        ret = relocate(x, &x->elf.rela);
    if (ret == 0)
        ret = relocate(x, &x->elf.plt);
    x->step = ret == 0 ? "entering it" : x->step;
    return ret != 0 ? ret : tracee_run(&x->tracee, x->base + x->elf.header.e_entry);
}

/* If a step fails, the program starts unchanged, without the library. */
static int inject(struct injection *x, int pid)
{
    x->step = "ptrace at exec";
    int ret = tracee_await_exec(pid);
    if (ret != 0)
        return 0; /* there was no exec: the caller of inject_exec reports its error */
    ret = tracee_begin(&x->tracee, pid);
    if (ret == 0) {
        ret = put_object(x);
        int ended = tracee_end(&x->tracee, ret == 0);
        ret = ret != 0 ? ret : ended;
    }
    if (ret != 0 && ret != -ESRCH)
        complain(x, ret);
    return ret;
}

/* `go`: readable once the parent permits tracing; `ready`: tells the parent that the exec may follow. */
static void tracer(struct injection *x, int go, int ready)
{
    int pid = getppid(), ret;
    char byte;
    prctl(PR_SET_NAME, "lastcall-inject", 0, 0, 0);
    if (read(go, &byte, 1) != 1)
        _exit(1);
    ret = tracee_seize(pid);
    if (write(ready, &ret, sizeof ret) != sizeof ret || ret != 0)
        _exit(1);
    _exit(inject(x, pid) != 0);
}

/* ---- the process that becomes the program ---- */

static void end_tracer(int pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, __WALL);
}

/* Returns the pid of the tracer, which is attached to this process; or -errno. The tracer sends no signal when it
 * ends (clone without SIGCHLD): the program would not expect a SIGCHLD. */
static int start_tracer(struct injection *x)
{
    int go[2] = {-1, -1}, ready[2] = {-1, -1}, ret = -EIO;
    if (pipe2(go, O_CLOEXEC) != 0 || pipe2(ready, O_CLOEXEC) != 0)
        return -errno;
    int pid = (int)syscall(SYS_clone, 0, 0, 0, 0, 0);
    if (pid == 0) {
        close(go[1]);
        tracer(x, go[0], ready[1]);
    }
    close(ready[1]);
    if (pid > 0) {
        prctl(PR_SET_PTRACER, pid, 0, 0, 0);
        if (write(go[1], "", 1) != 1 || read(ready[0], &ret, sizeof ret) != sizeof ret)
            ret = -EIO;
        if (ret != 0)
            end_tracer(pid);
    } else {
        ret = -errno;
    }
    close(go[0]), close(go[1]), close(ready[0]);
    return ret != 0 ? ret : pid;
}

static bool open_object(struct injection *x)
{
    x->step = "open";
    x->fd = open(x->object, O_RDONLY); /* not close-on-exec: the program maps it */
    if (x->fd < 0) {
        complain(x, -errno);
        return false;
    }
    const char *problem = elf_file_open(&x->elf, x->fd);
    if (!problem && x->elf.load_count > 0 && x->elf.header.e_entry != 0)
        return true;
    x->step = "its ELF headers";
    complain(x, -ENOEXEC);
    close(x->fd);
    return false;
}

int inject_exec(const char *object, const char *path, char *const argv[], char *const envp[], int problem_to)
{
    static struct injection x;
    x = (struct injection){.object = object, .path = path, .problem_to = problem_to};
    int pid = 0;
    if (open_object(&x)) {
        x.step = "ptrace";
        pid = start_tracer(&x);
        if (pid < 0) {
            complain(&x, pid);
            close(x.fd);
        }
    }
    execve(path, argv, envp);
    int error = errno;
    if (pid > 0) {
        end_tracer(pid);
        close(x.fd);
    }
    return error;
}
