#!/bin/sh
# Proof that each guard can fail: a small tree that keeps every rule, then one violation at a time.
. "$(dirname "$0")/lib.sh"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
guards=$PWD/tests/guard
cc=${CC:-cc}

make_tree()
{
    mkdir -p tree/shim/core tree/shim/sys tree/shim/hook tree/shim/launcher tree/shim/man tree/tests/guard
    cp "$guards"/*.sh tree/tests/guard/
    cd tree || exit 1
    echo 'typedef int word;' >shim/base.h
    cat >shim/core/options.c <<'END'
#include "../base.h"
#include <stddef.h>
void *memcpy(void *, const void *, size_t);
struct row { const char *name, *fallback; };
const struct row rows[] = {
    {"LASTCALL_LOG", "info"},
};
void copy(void *to, const void *from, size_t n) { memcpy(to, from, n); }
END
    cat >shim/sys/libc.c <<'END'
#include "../base.h"
extern int *__errno_location(void) __attribute__((weak));
void *memcpy(void *to, const void *from, unsigned long n)
{
    char *t = to;
    while (n--) ((volatile char *)t)[n] = ((const char *)from)[n];
    return to;
}
int *where(void) { return __errno_location ? __errno_location() : 0; }
END
    cat >shim/hook/hooks.def <<'END'
/* HOOK(returns, name, (parameters), (arguments), EARLY) */
HOOK(int, close, (int fd), (fd), RAW(3, fd))
HOOK_ASM(long, syscall, (long nr), (nr), RAW(nr))
HOOK_VARIADIC(int, execl, (const char *path, const char *arg, ...))
END
    cat >shim/hook/body.c <<'END'
#include "../base.h"
#define HOOK(r, name, params, args, early) __attribute__((visibility("default"))) r hook_##name params __asm__(#name);
#define HOOK_ASM HOOK
#define HOOK_VARIADIC(r, name, params) HOOK(r, name, params, (), LIBC)
#include "hooks.def"
struct { int (*close)(int); } real __attribute__((visibility("hidden")));
int hook_close(int fd) { return real.close(fd); } /* never close(fd) itself */
long hook_syscall(long nr) { return -nr; }
int hook_execl(const char *path, const char *arg, ...) { return path == arg; }
END
    cat >shim/hook/go.c <<'END'
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

build()
{
    rm -rf build
    mkdir build
    cp lastcall build/
    for source in shim/*/*.c; do
        mkdir -p "build/${source%/*}"
        # shellcheck disable=SC2086
        "$cc" -O2 -g -fPIC -ffreestanding -fvisibility=hidden -fno-plt -fasynchronous-unwind-tables ${flags:-} -c -o "build/$source.o" "$source" || return 1
    done
    # shellcheck disable=SC2086
    "$cc" -shared -nostdlib ${symbolic--Wl,-Bsymbolic} -Wl,-z,now ${link:-} -o build/liblastcall.so build/shim/*/*.o
}

# expect GUARD WORDS VIOLATION: in a copy with the violation, the guard fails and says WORDS
expect()
{
    rm -rf "$work/copy"
    cp -R "$work/tree" "$work/copy"
    flags='' link='' symbolic=-Wl,-Bsymbolic
    cd "$work/copy" || exit 1
    eval "$3"
    build >build.log 2>&1 || { echo "cannot build: $3: $(cat build.log)"; return; }
    if output=$("tests/guard/$1.sh" build 2>&1); then
        echo "$1 lets through: $3"
    elif ! echo "$output" | grep -qF -e "$2"; then
        echo "$1 does not say '$2' but: $output"
    fi
}

export CC="$cc"
cd "$work" || exit 1
make_tree
build || verdict 'the toy cannot be built'
tests/guard/dynamic_symbols.sh build --accept >/dev/null

verdict "$({
    for name in include_ladder core_purity dynamic_symbols no_self_call manpage go_small; do
        tests/guard/$name.sh build | grep -v '^ok '
    done

    expect include_ladder 'core may not include "../sys/x.h"' 'echo "#include \"../sys/x.h\"" >>shim/core/options.c; : >shim/sys/x.h'
    expect include_ladder 'sys may not include "../core/x.h"' 'echo "#include \"../core/x.h\"" >>shim/sys/libc.c; : >shim/core/x.h'
    expect include_ladder 'launcher may not include "../hook/hook.h"' 'echo "#include \"../hook/hook.h\"" >shim/launcher/check.c; : >shim/hook/hook.h'
    expect include_ladder 'shim may not include "pump.h"' 'echo "#include \"pump.h\"" >shim/io.c'
    expect include_ladder 'core may not include <string.h>' 'echo "#include <string.h>" >shim/core/x.h'
    expect include_ladder 'has no rule' 'mkdir shim/misc; echo "int x;" >shim/misc/x.c'

    expect core_purity 'needs strlen' 'echo "size_t strlen(const char *); size_t f(const char *s) { return strlen(s); }" >>shim/core/options.c; link=-Wl,--unresolved-symbols=ignore-all'
    expect core_purity 'needs where' 'echo "int *where(void); int *f(void) { return where(); }" >>shim/core/options.c'
    expect core_purity 'writable section .bss' 'echo "int calls;" >>shim/core/options.c'
    expect core_purity 'writable section .data' 'echo "int calls = 1;" >>shim/core/options.c'
    expect core_purity 'writable section .tbss' 'echo "_Thread_local int calls;" >>shim/core/options.c'

    expect dynamic_symbols 'needs a library' 'link="-Wl,--no-as-needed -lc"'
    expect dynamic_symbols 'has a TLS segment' 'echo "_Thread_local int calls = 1;" >>shim/sys/libc.c'
    expect dynamic_symbols 'strong undefined symbol getpid' 'echo "int getpid(void); int f(void) { return getpid(); }" >>shim/sys/libc.c'
    expect dynamic_symbols 'getpid is undefined and not on the list' 'echo "int getpid(void) __attribute__((weak)); int f(void) { return getpid ? getpid() : 0; }" >>shim/sys/libc.c'
    expect dynamic_symbols 'has no GNU_EH_FRAME' 'flags=-fno-asynchronous-unwind-tables'
    expect dynamic_symbols 'extra is exported and not in exports.golden' 'echo "__attribute__((visibility(\"default\"))) int extra(void) { return 0; }" >>shim/hook/body.c'
    expect dynamic_symbols 'extra is exported and not in hooks.def' 'echo "__attribute__((visibility(\"default\"))) int extra(void) { return 0; }" >>shim/hook/body.c'
    expect dynamic_symbols 'extra is exported and no function' 'echo "__attribute__((visibility(\"default\"))) int extra;" >>shim/hook/body.c'
    expect dynamic_symbols 'read is in hooks.def and not exported' 'echo "HOOK(int, read, (int fd), (fd), LIBC)" >>shim/hook/hooks.def'
    expect dynamic_symbols 'execlp is in hooks.def and not exported' 'echo "HOOK_VARIADIC(int, execlp, (const char *file, ...))" >>shim/hook/hooks.def'
    expect dynamic_symbols 'syscall is in exports.golden and not exported' 'sed -i "/syscall/d" shim/hook/hooks.def shim/hook/body.c'
    expect dynamic_symbols 'executable stack' 'link=-Wl,-z,execstack'

    expect no_self_call 'has a relocation against close' 'symbolic=; echo "int close(int); int (*keep)(int) = close;" >>shim/sys/libc.c'
    expect no_self_call 'libc.c.o refers to close' 'echo "int close(int); int f(void) { return close(3); }" >>shim/sys/libc.c'
    expect no_self_call 'body.c:10 uses an interposed name: ' 'echo "int close(int); int f(void) { return close(3); }" >>shim/hook/body.c'
    expect no_self_call 'has a relocation against getpid' 'echo "int getpid(void); int f(void) { return getpid(); }" >>shim/sys/libc.c'

    expect go_small 'go_ends is not there' 'sed -i "/go_ends/d" shim/hook/go.c'
    expect go_small 'go_begins needs the stack' 'echo "__attribute__((noinline)) int f(int a) { __asm__ volatile (\"\"); return a; } int g(int a) { return f(f(a)); }" >>shim/hook/go.c; sed -i "s/return a + 1/int f(int); return f(a) + 1/" shim/hook/go.c'

    expect manpage 'does not name LASTCALL_NEW' 'sed -i "s/^    {\"LASTCALL_LOG.*/&\n    {\"LASTCALL_NEW\", \"off\"},/" shim/core/options.c'
    expect manpage 'lacks: .BR LASTCALL_LOG " (warn)"' 'sed -i "s/info/warn/" shim/core/options.c'
    expect manpage 'has no heading: lastcall drain [--lines N]' 'sed -i "s/^--help) /&echo \"  drain  it\"; /" lastcall'
    expect manpage 'does not tell of check --long' 'sed -i "s/  --lines N/  --long  in full\\\\n&/" lastcall'
    expect manpage 'lacks the default of check --lines: 30' 'sed -i s/20/30/ lastcall'
    expect manpage 'names check --brief, which does not exist' 'echo ".B \\-\\-brief" >>shim/man/lastcall.1'
    expect manpage 'README.md names LASTCALL_OLD' 'echo LASTCALL_OLD >>README.md'
    expect manpage 'warning' 'printf ".nonsense\n" >>shim/man/lastcall.7'
})"
