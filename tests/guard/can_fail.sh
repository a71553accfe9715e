#!/bin/sh
# Proof that each guard can fail: a small tree that keeps every rule, then one violation at a time.
. "$(dirname "$0")/lib.sh"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
guards=$PWD/tests/guard
cc=${CC:-cc}

make_tree()
{
    mkdir -p tree/shim/core tree/shim/sys tree/shim/process tree/shim/group tree/shim/hook tree/shim/go tree/shim/launcher/host tree/shim/launcher/run tree/shim/man tree/tests/guard
    cp "$guards"/*.sh tree/tests/guard/
    : >tree/tests/guard/layers.exceptions
    cd tree || exit 1
    echo 'typedef int word;' >shim/base.h
    cat >shim/core/options.c <<'END'
#include "base.h"
#include <stddef.h>
void *memcpy(void *, const void *, size_t);
struct row { const char *name, *fallback; };
const struct row rows[] = {
    {"LASTCALL_LOG", "info"},
};
void options_copy(void *to, const void *from, size_t n) { memcpy(to, from, n); }
END
    cat >shim/sys/libc.c <<'END'
#include "base.h"
extern int *__errno_location(void) __attribute__((weak));
void *memcpy(void *to, const void *from, unsigned long n)
{
    char *t = to;
    while (n--) ((volatile char *)t)[n] = ((const char *)from)[n];
    return to;
}
int *libc_where(void) { return __errno_location ? __errno_location() : 0; }
END
    echo 'int group_size(void);' >shim/group/group.h
    printf '#include "base.h"\n#include "group/group.h"\nint *libc_where(void);\nint group_size(void) { return *libc_where(); }\n' >shim/group/group.c
    printf 'typedef unsigned short uint16_t;\nenum { SYS_read };\nstatic const uint16_t calls[] = {\n    SYS_read,\n};\n' >shim/process/sandbox.c
    echo 'void run_all(void) {}' >shim/launcher/run/run.c
    echo 'void clock_read(void) {}' >shim/launcher/host/clock.c
    cat >shim/hook/hooks.def <<'END'
/* HOOK(returns, name, (parameters), (arguments), EARLY) */
HOOK(int, close, (int fd), (fd), RAW(3, fd))
HOOK_ASM(long, syscall, (long nr), (nr), RAW(nr))
HOOK_VARIADIC(int, execl, (const char *path, const char *arg, ...))
END
    cat >shim/hook/body.c <<'END'
#include "base.h"
#define HOOK(r, name, params, args, early) __attribute__((visibility("default"))) r hook_##name params __asm__(#name);
#define HOOK_ASM HOOK
#define HOOK_VARIADIC(r, name, params) HOOK(r, name, params, (), LIBC)
#include "hook/hooks.def"
struct { int (*close)(int); } real __attribute__((visibility("hidden")));
int hook_close(int fd) { return real.close(fd); } /* never close(fd) itself */
long hook_syscall(long nr) { return -nr; }
int hook_execl(const char *path, const char *arg, ...) { return path == arg; }
END
    cat >shim/go/syscall6.c <<'END'
int go_begins(int a) { return a + 1; }
int go_ends(int a) { return a + 2; }
END
    printf '.TH lastcall 7\n.SH NAME\nlastcall \\- toy\n.SH ENVIRONMENT\n.TP\n.BR LASTCALL_LOG " (info)"\nLevel.\n' >shim/man/lastcall.7
    printf '.TH lastcall 1\n.SH NAME\nlastcall \\- toy\n.SH COMMANDS\n.SS lastcall check [\\-\\-lines N]\n.TP\n.BI \\-\\-lines " N"\nDefault: 20.\n' >shim/man/lastcall.1
    cat >lastcall <<'END'
#!/bin/sh
case $* in
--help) echo '  check   looks' ;;
*\ --help) printf 'usage: lastcall %s [--lines N]\n\n  --lines N  how many (20)\n' "$1" ;;
esac
END
    chmod +x lastcall
    echo 'LASTCALL_LOG' >README.md
}

# compile BUILD SOURCE...: those that differ from the tree's, whose objects are there already
compile()
{
    objects=$1
    shift
    for source; do
        object=$objects/$source.o
        [ "$objects" = build ] || object=$objects/${source%.c}.o
        [ -z "$all" ] && cmp -s "$source" "$work/tree/$source" && continue
        mkdir -p "${object%/*}"
        # shellcheck disable=SC2086
        "$cc" -O2 -g -iquote shim -fPIC -ffreestanding -fvisibility=hidden -fno-plt -fasynchronous-unwind-tables ${flags:-} -c -o "$object" "$source" || return 1
    done
}

# build LINKED: what the guards look at; the layers' guard needs no linked object
build()
{
    mkdir -p build
    cp lastcall build/
    all=${flags:-}
    [ -e build/shim ] && cmp -s shim/hook/hooks.def "$work/tree/shim/hook/hooks.def" || all=yes
    # shellcheck disable=SC2046
    compile build $(find shim -name '*.c' ! -path 'shim/launcher/*') || return 1
    # shellcheck disable=SC2046
    compile build/host $(find shim/launcher -name '*.c') || return 1
    # shellcheck disable=SC2046,SC2086
    [ "$1" = no ] || "$cc" -shared -nostdlib ${symbolic--Wl,-Bsymbolic} -Wl,-z,now ${link:-} -o build/liblastcall.so $(find build/shim -name '*.o')
}

# fresh: a copy of the tree
fresh()
{
    rm -rf "$work/copy"
    cp -R "$work/tree" "$work/copy"
    flags='' link='' symbolic=-Wl,-Bsymbolic
    cd "$work/copy" || exit 1
}

# expect GUARD WORDS VIOLATION: in a copy with the violation, the guard fails and says WORDS
expect()
{
    [ -n "$joined" ] || fresh
    eval "$3"
    violated=$1
    wanted="$wanted$2
"
    [ -n "$joined" ] || judge "$3"
}

# together, apart: the violations between them, all of one guard, are put into one copy; the guard tells of each.
joined='' wanted=''
together()
{
    fresh
    joined=yes
}

apart()
{
    judge 'all of them'
    joined=
}

# judge VIOLATION: of the copy
judge()
{
    [ "$violated" = layers ] && linked=no || linked=yes
    if ! build "$linked" >build.log 2>&1; then
        echo "cannot build: $1: $(cat build.log)"
    elif output=$("tests/guard/$violated.sh" build 2>&1); then
        echo "$violated lets through: $1"
    else
        printf %s "$wanted" | while IFS= read -r words; do
            echo "$output" | grep -qF -e "$words" || echo "$violated does not say '$words' but: $output"
        done
    fi
    wanted=
}

# accepts VIOLATION: the layers guard lets it through, as it is an exception
accepts()
{
    fresh
    eval "$1"
    build no >build.log 2>&1 || { echo "cannot build: $1: $(cat build.log)"; return; }
    tests/guard/layers.sh build | grep -v '^ok '
}

export CC="$cc"
cd "$work" || exit 1
make_tree
build yes || verdict 'the toy cannot be built'
tests/guard/dynamic_symbols.sh build --accept >/dev/null

verdict "$({
    for name in layers core_purity dynamic_symbols no_self_call manpage go_small sandbox_calls; do
        tests/guard/$name.sh build | grep -v '^ok '
    done

    together
    expect layers 'shim/core/options.c includes "sys/x.h": core may only use: base' 'echo "#include \"sys/x.h\"" >>shim/core/options.c; : >shim/sys/x.h'
    expect layers 'shim/sys/libc.c includes "core/x.h": sys may only use: base' 'echo "#include \"core/x.h\"" >>shim/sys/libc.c; : >shim/core/x.h'
    expect layers 'shim/group/group.h includes "hook/x.h"' 'echo "#include \"hook/x.h\"" >>shim/group/group.h; : >shim/hook/x.h'
    expect layers 'launcher/host may only use:' 'echo "#include \"launcher/run/x.h\"" >>shim/launcher/host/clock.c; : >shim/launcher/run/x.h'
    expect layers 'shim/launcher/run/run.c includes "group/group.h"' 'echo "#include \"group/group.h\"" >>shim/launcher/run/run.c'
    expect layers 'shim/group/x.h includes "group.h": includes are written from shim/' 'echo "#include \"group.h\"" >shim/group/x.h'
    expect layers 'core is freestanding' 'echo "#include <string.h>" >shim/core/x.h'
    expect layers 'shim/misc/x.c has no rule' 'mkdir shim/misc; echo "int x;" >shim/misc/x.c'
    expect layers 'shim/io.c lies right in shim/' 'echo "int x;" >shim/io.c'
    apart

    together
    expect layers 'shim/sys/libc.c uses shim/core/options.c: by options_copy; sys may only use: base' 'echo "void options_copy(void *, const void *, unsigned long); void libc_f(void) { options_copy(0, 0, 0); }" >>shim/sys/libc.c'
    expect layers 'shim/group/group.c uses shim/hook/body.c: by real' 'echo "extern struct { int (*close)(int); } real; int group_f(void) { return real.close(1); }" >>shim/group/group.c'
    expect layers 'shim/launcher/host/clock.c uses shim/launcher/run/run.c: by run_all' 'echo "void run_all(void); void clock_f(void) { run_all(); }" >>shim/launcher/host/clock.c'
    apart

    loop='echo "int group_b(void); int group_size(void) { return group_b(); }" >shim/group/group.c; echo "int group_size(void); int group_b(void) { return group_size(); }" >shim/group/b.c'
    expect layers 'a loop: shim/group/b.c shim/group/group.c' "$loop"
    accepts "$loop"'; printf "shim/group/%s stands in a loop\n" b.c group.c >tests/guard/layers.exceptions'
    expect layers 'shim/group/group.c stands in a loop' "$loop; echo 'shim/group/b.c stands in a loop' >tests/guard/layers.exceptions"

    together
    expect layers 'shim/group/group.h is longer than 120 lines: 121' 'yes "" | head -n 120 >>shim/group/group.h'
    expect layers 'shim/shim.h is longer than 90 lines: 91' 'yes "" | head -n 91 >>shim/shim.h'
    expect layers 'shim/shim_*.c are longer than 400 lines in all: 401' 'yes "" | head -n 200 >shim/shim_a.c; yes "" | head -n 201 >shim/shim_b.c'
    apart
    members=$(seq -f 'int m%.0f;' 31)
    expect layers 'has a struct big with more than 32 members: 33' "echo 'struct big { /* ; */ $members struct { int x, y; } s; int (*f)(int, int); };' >>shim/group/group.h"
    accepts "echo 'struct big { /* ; */ $members int (*f)(int, int); };' >>shim/group/group.h"
    expect layers 'shim/group/group.c defines member_is: a name begins with that of its file or folder' 'echo "int member_is(void); int member_is(void) { return 1; }" >>shim/group/group.c'
    accepts 'echo "int member_is(void); int member_is(void) { return 1; }" >>shim/group/members.c'

    expect layers 'shim/group/group.c defines group_after_fork: shim_process.c does not call it' 'echo "void group_after_fork(void) {}" >>shim/group/group.c'
    expect layers 'shim/hook/body.c calls group_after_fork: only shim_process.c does' 'echo "void group_after_fork(void) {}" >>shim/group/group.c; echo "void group_after_fork(void); void f(void) { group_after_fork(); }" >>shim/hook/body.c'
    accepts 'echo "void group_after_fork(void) {}" >>shim/group/group.c; echo "void group_after_fork(void); void shim_f(void) { group_after_fork(); }" >shim/shim_process.c'

    expect layers 'needed no longer, take it out of layers.exceptions: shim/io.c lies right in shim/' 'echo "shim/io.c lies right in shim/" >tests/guard/layers.exceptions'

    together
    expect core_purity 'needs strlen' 'echo "size_t strlen(const char *); size_t length(const char *s) { return strlen(s); }" >>shim/core/options.c; link=-Wl,--unresolved-symbols=ignore-all'
    expect core_purity 'needs libc_where' 'echo "int *libc_where(void); int *where(void) { return libc_where(); }" >>shim/core/options.c'
    expect core_purity 'writable section .bss' 'echo "int calls;" >>shim/core/options.c'
    expect core_purity 'writable section .data' 'echo "int first_call = 1;" >>shim/core/options.c'
    expect core_purity 'writable section .tbss' 'echo "_Thread_local int own_calls;" >>shim/core/options.c'
    apart

    together
    expect dynamic_symbols 'needs a library' "link=\"\$link -Wl,--no-as-needed -lc\""
    expect dynamic_symbols 'has a TLS segment' 'echo "_Thread_local int calls = 1;" >>shim/sys/libc.c'
    expect dynamic_symbols 'strong undefined symbol getpid' 'echo "int getpid(void); int f(void) { return getpid(); }" >>shim/sys/libc.c'
    expect dynamic_symbols 'getppid is undefined and not on the list' 'echo "int getppid(void) __attribute__((weak)); int parent(void) { return getppid ? getppid() : 0; }" >>shim/sys/libc.c'
    expect dynamic_symbols 'has no GNU_EH_FRAME' 'flags=-fno-asynchronous-unwind-tables'
    expect dynamic_symbols 'extra is exported and not in exports.golden' 'echo "__attribute__((visibility(\"default\"))) int extra(void) { return 0; }" >>shim/hook/body.c'
    expect dynamic_symbols 'extra is exported and not in hooks.def' :
    expect dynamic_symbols 'extra_data is exported and no function' 'echo "__attribute__((visibility(\"default\"))) int extra_data;" >>shim/hook/body.c'
    expect dynamic_symbols 'read is in hooks.def and not exported' 'echo "HOOK(int, read, (int fd), (fd), LIBC)" >>shim/hook/hooks.def'
    expect dynamic_symbols 'execlp is in hooks.def and not exported' 'echo "HOOK_VARIADIC(int, execlp, (const char *file, ...))" >>shim/hook/hooks.def'
    expect dynamic_symbols 'syscall is in exports.golden and not exported' 'sed -i "/syscall/d" shim/hook/hooks.def shim/hook/body.c'
    expect dynamic_symbols 'executable stack' "link=\"\$link -Wl,-z,execstack\""
    apart

    together
    expect no_self_call 'has a relocation against close' 'symbolic=; echo "int close(int); int (*keep)(int) = close;" >>shim/sys/libc.c'
    expect no_self_call 'libc.c.o refers to close' 'echo "int close(int); int f(void) { return close(3); }" >>shim/sys/libc.c'
    expect no_self_call 'body.c:10 uses an interposed name: ' 'echo "int close(int); int g(void) { return close(3); }" >>shim/hook/body.c'
    expect no_self_call 'has a relocation against getpid' 'echo "int getpid(void); int h(void) { return getpid(); }" >>shim/sys/libc.c'
    apart

    expect sandbox_calls 'SYS_kill is called, and not in shim/process/sandbox.c' 'echo "enum { SYS_kill }; int sys2(int, int, int); int f(void) { return sys2(SYS_kill, 1, 2); }" >>shim/group/group.c; link=-Wl,--unresolved-symbols=ignore-all'

    expect go_small 'go_ends is not there' 'sed -i "/go_ends/d" shim/go/syscall6.c'
    expect go_small 'go_begins needs the stack' 'echo "__attribute__((noinline)) int f(int a) { __asm__ volatile (\"\"); return a; } int g(int a) { return f(f(a)); }" >>shim/go/syscall6.c; sed -i "s/return a + 1/int f(int); return f(a) + 1/" shim/go/syscall6.c'

    together
    expect manpage 'does not name LASTCALL_NEW' 'sed -i "s/^    {\"LASTCALL_LOG.*/&\n    {\"LASTCALL_NEW\", \"off\"},/" shim/core/options.c'
    expect manpage 'lacks: .BR LASTCALL_LOG " (warn)"' 'sed -i "s/info/warn/" shim/core/options.c'
    expect manpage 'has no heading: lastcall drain [--lines N]' 'sed -i "s/^--help) /&echo \"  drain  it\"; /" lastcall'
    expect manpage 'does not tell of check --long' 'sed -i "s/  --lines N/  --long  in full\\\\n&/" lastcall'
    expect manpage 'lacks the default of check --lines: 30' 'sed -i s/20/30/ lastcall'
    expect manpage 'names check --brief, which does not exist' 'echo ".B \\-\\-brief" >>shim/man/lastcall.1'
    expect manpage 'README.md names LASTCALL_OLD' 'echo LASTCALL_OLD >>README.md'
    expect manpage 'warning' 'printf ".nonsense\n" >>shim/man/lastcall.7'
    apart
})"
