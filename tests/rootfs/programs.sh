# shellcheck shell=sh disable=SC2154
# programs.sh: of what $build/e2e holds, what a server in $root needs, in $root/lastcall: the small ones by compile PROGRAM
# SOURCE..., and as they are those that need no libc, and what is no program.
mkdir -p "$root/lastcall"
for name in thread select poll epoll signalfd sigwait; do
    compile "$root/lastcall/$name" tests/e2e/servers/$name.c tests/e2e/servers/http.c
done
compile "$root/lastcall/cgi" tests/e2e/servers/cgi.c
cp -u "$build"/e2e/*.class "$build/e2e/inject" "$root/lastcall/"
for library in nethttp fasthttp; do
    cp -u "$build/e2e/go-$library-static" "$build/e2e/go-$library-stripped" "$root/lastcall/"
done
