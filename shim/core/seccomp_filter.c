/* seccomp_filter.c: see seccomp_filter.h. Jumps go forward only (bpf_check_classic), so that one pass in order has seen
 * all ways to an instruction before it comes there. */
#include "core/seccomp_filter.h"

/* linux/bpf_common.h */
#define BPF_CLASS(code)  ((code)&0x07)
#define BPF_OP(code)     ((code)&0xf0)
#define BPF_SRC(code)    ((code)&0x08)
#define BPF_RVAL(code)   ((code)&0x18)
#define BPF_MISCOP(code) ((code)&0xf8)
enum { BPF_LD, BPF_LDX, BPF_ST, BPF_STX, BPF_ALU, BPF_JMP, BPF_RET, BPF_MISC };
enum { BPF_LD_W_ABS = 0x20, BPF_LD_IMM = 0x00, BPF_K = 0x00, BPF_A = 0x10, BPF_TXA = 0x80 };
enum { BPF_ADD = 0x00, BPF_SUB = 0x10, BPF_OR = 0x40, BPF_AND = 0x50, BPF_XOR = 0xa0 };
enum { BPF_JA = 0x00, BPF_JEQ = 0x10, BPF_JGT = 0x20, BPF_JGE = 0x30 };

/* linux/seccomp.h: where struct seccomp_data has these, and what a filter returns. */
enum { DATA_NR = 0, DATA_ARCH = 4 };
#define RET_ACTION 0xffff0000u
#define RET_ERRNO  0x00050000u
#define RET_TRACE  0x7ff00000u
#define RET_LOG    0x7ffc0000u
#define RET_ALLOW  0x7fff0000u

struct walk {
    const struct seccomp_instruction *filter;
    unsigned length;
    uint32_t arch, nr;
    struct seccomp_state *states;
};

/* The instruction at `to` is reached with this accumulator. Two different ones: not known. */
static bool reach(const struct walk *w, uint64_t to, struct seccomp_state with)
{
    if (to >= w->length)
        return false;
    struct seccomp_state *s = &w->states[to];
    if (s->reached && (!s->known || !with.known || s->value != with.value))
        with.known = false;
    *s = with;
    return true;
}

static struct seccomp_state known(uint32_t value)
{
    return (struct seccomp_state){value, true, true};
}

static struct seccomp_state unknown(void)
{
    return (struct seccomp_state){0, true, false};
}

/* Of struct seccomp_data only the number and the architecture are known. */
static struct seccomp_state load(const struct walk *w, const struct seccomp_instruction *f)
{
    if (f->code == BPF_LD_W_ABS && f->k == DATA_NR)
        return known(w->nr);
    if (f->code == BPF_LD_W_ABS && f->k == DATA_ARCH)
        return known(w->arch);
    return f->code == BPF_LD_IMM ? known(f->k) : unknown();
}

static struct seccomp_state compute(struct seccomp_state a, const struct seccomp_instruction *f)
{
    if (!a.known || BPF_SRC(f->code) != BPF_K)
        return unknown();
    switch (BPF_OP(f->code)) {
    case BPF_ADD: return known(a.value + f->k);
    case BPF_SUB: return known(a.value - f->k);
    case BPF_AND: return known(a.value & f->k);
    case BPF_OR: return known(a.value | f->k);
    case BPF_XOR: return known(a.value ^ f->k);
    default: return unknown();
    }
}

static bool holds(uint32_t a, const struct seccomp_instruction *f)
{
    switch (BPF_OP(f->code)) {
    case BPF_JEQ: return a == f->k;
    case BPF_JGT: return a > f->k;
    case BPF_JGE: return a >= f->k;
    default: return (a & f->k) != 0; /* BPF_JSET */
    }
}

static bool jump(const struct walk *w, unsigned at, struct seccomp_state a)
{
    const struct seccomp_instruction *f = &w->filter[at];
    uint64_t next = (uint64_t)at + 1;
    if (BPF_OP(f->code) == BPF_JA)
        return reach(w, next + f->k, a);
    if (a.known && BPF_SRC(f->code) == BPF_K)
        return reach(w, next + (holds(a.value, f) ? f->jt : f->jf), a);
    return reach(w, next + f->jt, a) && reach(w, next + f->jf, a);
}

/* TRACE without a tracer is an error (ENOSYS). */
static bool comes_back(uint32_t action)
{
    action &= RET_ACTION;
    return action == RET_ALLOW || action == RET_LOG || action == RET_ERRNO || action == RET_TRACE;
}

static bool step(const struct walk *w, unsigned at)
{
    const struct seccomp_instruction *f = &w->filter[at];
    struct seccomp_state a = w->states[at];
    switch (BPF_CLASS(f->code)) {
    case BPF_RET:
        return BPF_RVAL(f->code) == BPF_A ? a.known && comes_back(a.value)
                                          : BPF_RVAL(f->code) == BPF_K && comes_back(f->k);
    case BPF_JMP: return jump(w, at, a);
    case BPF_LD: return reach(w, (uint64_t)at + 1, load(w, f));
    case BPF_ALU: return reach(w, (uint64_t)at + 1, compute(a, f));
    case BPF_MISC: return reach(w, (uint64_t)at + 1, BPF_MISCOP(f->code) == BPF_TXA ? unknown() : a);
    default: return reach(w, (uint64_t)at + 1, a); /* LDX, ST, STX: the accumulator stays */
    }
}

bool seccomp_filter_spares(const struct seccomp_instruction *filter, unsigned length, uint32_t arch, uint32_t nr,
                           struct seccomp_state *states)
{
    const struct walk w = {filter, length, arch, nr, states};
    if (length == 0 || length > SECCOMP_FILTER_MAX)
        return false;
    memset(states, 0, length * sizeof *states);
    states[0] = known(0);
    for (unsigned at = 0; at < length; at++)
        if (states[at].reached && !step(&w, at))
            return false;
    return true;
}
