#!/bin/sh
# libuv.sh DIRECTORY: libuv's own test program, of Debian's source package, in this directory. It is linked statically with
# libuv, dynamically with libc; and run under another user than root, as it insists.
set -eu
dir=$1
[ ! -x "$dir/uv_run_tests" ] || exit 0
"$(dirname "$0")/../source.sh" libuv1 "$dir/source"
cd "$dir/source"
unix=
for name in async core dl fs getaddrinfo getnameinfo loop-watcher loop pipe poll process random-devurandom random-getrandom \
    random-sysctl-linux signal stream tcp thread tty udp linux-core linux-inotify linux-syscalls procfs-exepath proctitle epoll linux; do
    [ ! -e "src/unix/$name.c" ] || unix="$unix src/unix/$name.c"
done
tests=$(for file in test/*.c; do case $file in *benchmark* | *runner-win*) ;; *) echo "$file" ;; esac; done)
# Some tests take a source of libuv's in once more.
# shellcheck disable=SC2086
gcc -O1 -w -D_GNU_SOURCE -Wl,--allow-multiple-definition -Iinclude -Isrc -o uv_run_tests src/*.c $unix $tests -lpthread -ldl -lrt
[ "$(id -u)" != 0 ] || chown -R 65534:65534 .
mv uv_run_tests ..
