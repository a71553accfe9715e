/* fault_filter.c: preloaded behind liblastcall.so, into any program: has each system call that our object makes decided
 * upon by another process (seccomp_unotify(2)). It is told from the program's own by the instruction pointer. Our
 * constructor runs after this one, so its calls are among them.
 *
 * Says "listener N" on standard output, and waits for a line before it closes descriptor N. */
#include "sys/syscall.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

struct range {
    uintptr_t from, to;
};

static int find_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct range *r = arg;
    (void)size;
    if (!strstr(info->dlpi_name, "liblastcall.so"))
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type != PT_LOAD || (p->p_flags & PF_X) == 0)
            continue;
        r->from = info->dlpi_addr + p->p_vaddr;
        r->to = r->from + p->p_memsz;
    }
    return 1;
}

/* Returns the descriptor on which the calls are told of; -errno. */
static int filter_object(struct range r)
{
    const unsigned ip = offsetof(struct seccomp_data, instruction_pointer);
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(r.from >> 32), 0, 7),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ip),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (unsigned)r.from, 0, 5),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (unsigned)r.to, 4, 0),
        /* What cannot fail, and what no program would survive. */
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    sys5(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return (int)sys3(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

/* Nothing of libc's that we interpose: from here on that would be judged, and nobody judges yet. */
__attribute__((constructor)) static void begin(void)
{
    struct range r = {0, 0};
    char line[32], byte = 0;
    dl_iterate_phdr(find_object, &r);
    int fd = r.to == 0 || r.from >> 32 != r.to >> 32 ? -1 : filter_object(r);
    int n = snprintf(line, sizeof line, "listener %d\n", fd);
    sys3(SYS_write, 1, line, n);
    while (sys3(SYS_read, 0, &byte, 1) == 1 && byte != '\n')
        ;
    sys1(SYS_close, fd);
}
