#!/bin/sh
# universal.sh: one and the same object in programs of this libc, of musl, of none; and no trace of it in programs
# that never serve. (glibc 2.31: bullseye.sh.)
set -u
. "$(dirname "$0")/lib.sh"
object=$BUILD/liblastcall.so
work=$BUILD/integration/universal
mkdir -p "$work"

# is NAME GOT WANTED
is()
{
    if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "'$2', not '$3'"; fi
}

with()
{
    LD_PRELOAD=$object timeout $HANG "$@"
}

# ---- this libc ----
is universal/glibc-true "$(with true 2>&1; echo $?)" 0
is universal/glibc-ls "$(with ls /usr 2>&1)" "$(ls /usr 2>&1)"
is universal/glibc-sh "$(with sh -c 'echo a | cat; exit 3' 2>&1; echo $?)" "a
3"

# ---- musl ----
if command -v musl-gcc >/dev/null; then
    echo 'int main(void) { return 0; }' >"$work/true.c"
    musl-gcc -o "$work/musl-true" "$work/true.c" || fail universal/musl-true "musl-gcc fails"
    is universal/musl-true "$(with "$work/musl-true" 2>&1; echo $?)" 0
    for program in $LIBC_PROGRAMS; do
        if musl-gcc -std=c11 -D_GNU_SOURCE -iquote shim -O1 -w -o "$work/$program" "tests/integration/$program.c" tests/integration/check.c 2>"$work/cc.log"; then
            "$work/$program" | sed "s/^\([A-Za-z]* \)/\1musl\//"
        else
            fail "musl/$program" "does not compile: $(head -n 3 "$work/cc.log")"
        fi
    done
else
    (skip universal/musl "no musl-gcc")
fi

# ---- no libc: a Go PIE, loaded by ld.so; and a static program, which is not touched ----
if command -v go >/dev/null; then
    cat >"$work/server.go" <<'GO'
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
)

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") }))
	for i := 0; i < 50; i++ {
		r, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			panic(err)
		}
		body, _ := io.ReadAll(r.Body)
		if string(body) != "hello" {
			panic(string(body))
		}
	}
	fmt.Println("served")
}
GO
    go_build="env GOGC=off GOMEMLIMIT=1GiB GOCACHE=$BUILD/e2e/go-cache GOFLAGS=-mod=mod GO111MODULE=off CGO_ENABLED=0 go build"
    # shellcheck disable=SC2086
    if $go_build -buildmode=pie -o "$work/go-pie" "$work/server.go" 2>"$work/go.log"; then
        objdump -p "$work/go-pie" | grep -q 'NEEDED' && fail universal/go-pie "it has a libc: nothing is shown"
        is universal/go-pie "$(with "$work/go-pie" 2>&1; echo $?)" "served
0"
        # shellcheck disable=SC2016
        with sh -c 'LD_DEBUG=files "$1" 2>&1' sh "$work/go-pie" | grep -q liblastcall || fail universal/go-pie "it is not loaded"
    else
        fail universal/go-pie "does not build: $(head -n 3 "$work/go.log")"
    fi
else
    (skip universal/go "no go")
fi
echo 'int main(void) { return 7; }' >"$work/static.c"
${CC:-cc} -static -o "$work/static" "$work/static.c"
is universal/static "$(with "$work/static" 2>&1; echo $?)" 7

# ---- no trace in a program that never serves ----
cat >"$work/look.sh" <<'SH'
ls /proc/self/fd | wc -l
grep -E '^(Threads|SigB|SigI|SigC)' /proc/self/status
exec cat /proc/self/status | grep -E '^(Threads|Sig[BIC])'
SH
is universal/no-trace "$(with sh "$work/look.sh" 2>&1)" "$(sh "$work/look.sh" 2>&1)"
is universal/no-trace-disabled "$(LASTCALL_DISABLE=1 LD_PRELOAD=$object sh "$work/look.sh" 2>&1)" "$(sh "$work/look.sh" 2>&1)"

# System calls that the object adds to one exec: those of the loader, which must open, read, map and close it,
# and its own.
true=$(command -v true)
calls()
{
    strace -qq -f -o "$work/strace" "$@" </dev/null >/dev/null 2>&1 || return 1
    sed -n "/execve(.*true/,\$p" "$work/strace" | grep -c '('
}
if command -v strace >/dev/null && bare=$(calls env "$true"); then
    added=$(($(calls env "LD_PRELOAD=$object" "$true") - bare))
    echo "# system calls of an exec: $bare, and $added by us"
    if [ "$added" -le 6 ]; then ok universal/added-calls; else fail universal/added-calls "$added"; fi
else
    (skip universal/added-calls "no strace")
fi
done_here
