#!/bin/sh
# libuv.sh DIRECTORY: libuv's own test program, of Debian's source package, in this directory. It is linked statically with
# libuv, dynamically with libc; and run under another user than root, as it insists.
set -eu
dir=$1
[ ! -x "$dir/uv_run_tests" ] || exit 0
mkdir -p "$dir/apt/lists/partial" "$dir/source"
cd "$dir"
cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed -n 's/^deb /deb-src /p' >apt/src.list
cat /etc/apt/sources.list.d/*.sources 2>/dev/null | sed 's/^Types: deb$/Types: deb-src/' >apt/src.sources
from()
{
    apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$PWD/apt" -o Dir::State::lists="$PWD/apt/lists" \
        -o APT::Sandbox::User=root "$@"
}
from update
from source --download-only libuv1
tar xf libuv1_*.orig.tar.gz -C source --strip-components=1
cd source
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
