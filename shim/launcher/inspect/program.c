/* program.c: see program.h. What the kernel and the dynamic linker read is read here in their way: by program
 * headers, never by sections, which a program may lack. */
#include "launcher/inspect/program.h"

#include "launcher/inspect/elf_file.h"
#include "launcher/inspect/elf_needs.h"
#include "launcher/inspect/exec_chain.h"
#include "launcher/inspect/go_build.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#if defined(__x86_64__)
enum { OWN_MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { OWN_MACHINE = EM_AARCH64 };
#endif

/* ---- the header ------------------------------------------------------------------------------------- */

static const struct machine {
    unsigned number;
    const char *name;
} machines[] = {
    {EM_X86_64, "x86_64"}, {EM_AARCH64, "aarch64"},     {EM_386, "i386"},        {EM_ARM, "arm"},
    {EM_RISCV, "riscv"},   {EM_PPC64, "ppc64"},         {EM_S390, "s390"},       {EM_MIPS, "mips"},
    {EM_PPC, "ppc"},       {EM_LOONGARCH, "loongarch"}, {EM_SPARCV9, "sparc64"},
};

static void read_machine(const GElf_Ehdr *header, struct program_facts *f)
{
    f->bits = header->e_ident[EI_CLASS] == ELFCLASS64 ? 64 : 32;
    f->big_endian = header->e_ident[EI_DATA] == ELFDATA2MSB;
    f->machine = header->e_machine;
    f->other_machine = f->machine != OWN_MACHINE || f->bits != 64 || f->big_endian;
    snprintf(f->machine_name, sizeof f->machine_name, "machine %u", f->machine);
    for (unsigned i = 0; i < COUNT(machines); i++)
        if (machines[i].number == f->machine)
            snprintf(f->machine_name, sizeof f->machine_name, "%s", machines[i].name);
}

/* A shared object has the same type as a PIE; the linker marks the PIE, and only a program has an interpreter. */
static void read_kind(const struct elf_file *e, struct program_facts *f)
{
    bool has_interpreter = f->interpreter[0] != '\0';
    f->pie = e->header.e_type == ET_DYN;
    f->kind = ELF_PROGRAM;
    if (e->header.e_type != ET_EXEC && e->header.e_type != ET_DYN)
        f->kind = ELF_OTHER;
    else if (f->pie && !has_interpreter && !(e->flags_1 & DF_1_PIE))
        f->kind = ELF_LIBRARY;
    f->link = has_interpreter ? ELF_DYNAMIC : f->pie ? ELF_STATIC_PIE : ELF_STATIC;
}

static void read_go(struct elf_file *e, struct program_facts *f)
{
    struct gobuild build;
    f->go.built = go_build_read(e, &build);
    f->go.cgo = build.cgo;
    f->go.marked = build.marked;
    f->go.entries = build.entries;
    memcpy(f->go.version, build.version, sizeof f->go.version);
}

static void read_program(struct elf_file *e, struct program_facts *f)
{
    read_go(e, f);
    f->interpreter_missing = f->interpreter[0] && access(f->interpreter, F_OK) != 0;
    if (f->link == ELF_DYNAMIC)
        elf_needs_read(e, f);
}

int program_file(int fd, struct program_facts *f)
{
    static struct elf_file e; /* too large for the stack; never called by two threads */
    const char *wrong = elf_file_open(&e, fd);
    if (wrong)
        return exec_chain_problem(f, -ENOEXEC, "", f->path, wrong);
    read_machine(&e.header, f);
    memcpy(f->interpreter, e.interpreter, sizeof f->interpreter);
    read_kind(&e, f);
    if (f->kind == ELF_PROGRAM)
        read_program(&e, f);
    elf_file_close(&e);
    return f->kind == ELF_PROGRAM ? 0 : -ENOEXEC;
}

/* ---- the file --------------------------------------------------------------------------------------- */

/* What makes the kernel set AT_SECURE (cap_bprm_creds_from_file): the dynamic linker then ignores LD_PRELOAD. */
static void read_privileges(int fd, struct program_facts *f)
{
    struct stat s;
    struct statvfs fs;
    if (fstat(fd, &s) != 0)
        return;
    f->setuid = s.st_mode & S_ISUID;
    f->setgid = s.st_mode & S_ISGID;
    f->capabilities = fgetxattr(fd, "security.capability", NULL, 0) > 0;
    bool grants = fstatvfs(fd, &fs) != 0 || !(fs.f_flag & ST_NOSUID);
    f->secure = grants && ((f->setuid && s.st_uid != getuid()) || (f->setgid && s.st_gid != getgid()) ||
                           (f->capabilities && getuid() != 0));
}

int program_command(char *const *argv, struct program_facts *facts)
{
    memset(facts, 0, sizeof *facts);
    int fd = exec_chain_command(argv, facts);
    if (fd < 0)
        return fd;
    read_privileges(fd, facts);
    int status = program_file(fd, facts);
    close(fd);
    if (status == 0 && facts->other_machine)
        status = -ENOEXEC;
    if (status == 0 && facts->interpreter_missing)
        status = -ENOENT;
    return facts->executable ? status : -EACCES;
}

int program_find(const char *command, struct program_facts *facts)
{
    char *argv[] = {(char *)command, NULL};
    return program_command(argv, facts);
}
