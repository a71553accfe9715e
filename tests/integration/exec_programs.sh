#!/bin/sh
# exec_programs.sh: exec where a C test program does not get: before our constructor has run, from python and node
# while they serve, and in a program whose environment is empty but for us.
set -u
. "$(dirname "$0")/lib.sh"
object=$BUILD/liblastcall.so
work=$BUILD/integration/exec
mkdir -p "$work"

# is NAME GOT WANTED
is()
{
    if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "'$2', not '$3'"; fi
}

# ---- early: of two preloaded libraries, glibc initializes the last first, musl the first: both orders are tried ----
cat >"$work/early.c" <<'END'
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
int execveat(int, const char *, char *const[], char *const[], int) __attribute__((weak));

static void become(const char *way, const char *path)
{
    char *argv[] = {"sh", "-c", "echo $0 $# $MARK", "early", "1", NULL}, *env[] = {"MARK=given", NULL};
    int fd = open(path, O_RDONLY);
    unsetenv("LD_PRELOAD");
    if (strcmp(way, "execve") == 0) execve(path, argv, env);
    if (strcmp(way, "execv") == 0) execv(path, argv);
    if (strcmp(way, "execvp") == 0) execvp(path, argv);
    if (strcmp(way, "execvpe") == 0) execvpe(path, argv, env);
    if (strcmp(way, "fexecve") == 0) fd >= 0 && fexecve(fd, argv, env);
    if (strcmp(way, "execveat") == 0 && execveat) execveat(AT_FDCWD, path, argv, env, 0);
    if (strcmp(way, "execl") == 0) execl(path, "sh", "-c", argv[2], "early", "1", (char *)NULL);
    if (strcmp(way, "execlp") == 0) execlp(path, "sh", "-c", argv[2], "early", "1", (char *)NULL);
    if (strcmp(way, "execle") == 0) execle(path, "sh", "-c", argv[2], "early", "1", (char *)NULL, env);
    if (strcmp(way, "syscall-execve") == 0) syscall(SYS_execve, path, argv, env);
    if (strcmp(way, "syscall-execveat") == 0) syscall(SYS_execveat, AT_FDCWD, path, argv, env, 0);
}

__attribute__((constructor)) static void start(void)
{
    char *way = getenv("EARLY"), failed[] = "failed 0 ";
    if (!way)
        return;
    errno = 0;
    become(way, "/nonexistent/program");
    failed[7] += errno == ENOENT;
    write(1, failed, sizeof failed - 1);
    if (getenv("VFORK")) {
        if (vfork() == 0) {
            become(way, "/bin/sh");
            _exit(99);
        }
        wait(NULL);
        _exit(0);
    }
    become(way, "/bin/sh");
    _exit(98);
}
END
echo 'int main(void) { return 0; }' >"$work/true.c"

# early LIBC COMPILER
early()
{
    if ! "$2" -w -D_GNU_SOURCE -shared -fPIC -o "$work/early-$1.so" "$work/early.c" || ! "$2" -o "$work/true-$1" "$work/true.c"; then
        fail "exec/early/$1" "does not compile"
        return
    fi
    for way in execve execv execvp execvpe fexecve execveat execl execlp execle syscall-execve syscall-execveat; do
        [ "$1 $way" = 'musl execveat' ] && continue # it has none
        case $way in
        execv | execvp | execl | execlp) mark=inherited ;;
        *) mark=given ;;
        esac
        for order in "$object:$work/early-$1.so" "$work/early-$1.so:$object"; do
            for variable in FORK VFORK; do
                timeout $HANG env $variable=1 MARK=inherited "EARLY=$way" "LD_PRELOAD=$order" "$work/true-$1" 2>&1
            done
        done >"$work/out"
        line="failed 1 early 1 $mark"
        is "exec/early/$1/$way" "$(cat "$work/out")" "$(printf '%s\n%s\n%s\n%s' "$line" "$line" "$line" "$line")"
    done
}
early libc "${CC:-cc}"
if command -v musl-gcc >/dev/null; then
    early musl musl-gcc
else
    (skip exec/early/musl "no musl-gcc")
fi

# ---- an environment of nothing but us ----
is exec/environment-of-us "$(env -i LD_PRELOAD="$object" timeout $HANG /usr/bin/env)" "LD_PRELOAD=$object"
is exec/environment-of-us/exec "$(env -i LD_PRELOAD="$object" timeout $HANG /bin/sh -c 'exec /usr/bin/env -i /bin/echo alone')" alone

# ---- programs that serve and start others ----
cat >"$work/serve.py" <<'END'
import os, socket, subprocess, sys
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()
print(subprocess.run(["/bin/echo", "run"], capture_output=True, text=True).stdout, end="")
print(subprocess.run(["/bin/sh", "-c", "echo $MARK"], env={"MARK": "given"}, capture_output=True, text=True).stdout, end="")
print(subprocess.run(["echo", "preexec"], preexec_fn=lambda: None, capture_output=True, text=True).stdout, end="")
try:
    subprocess.run(["/nonexistent/program"])
except FileNotFoundError:
    print("ENOENT")
try:
    subprocess.run(["/etc/passwd"])
except PermissionError:
    print("EACCES")
print(os.system("exit 3") >> 8, os.popen("echo popen").read(), end="")
print(os.waitpid(os.posix_spawn("/bin/sh", ["sh", "-c", "exit 4"], {}), 0)[1] >> 8)
print(os.spawnlp(os.P_WAIT, "sh", "sh", "-c", "exit 5"))
try:
    os.execv("/nonexistent/program", ["x"])
except FileNotFoundError:
    print("still here")
sys.stdout.flush()
os.execvpe("sh", ["sh", "-c", "echo $MARK"], {"MARK": "the end"})
END
if command -v python3 >/dev/null; then
    is exec/python "$(LD_PRELOAD=$object timeout $HANG python3 "$work/serve.py" 2>&1)" "$(timeout $HANG python3 "$work/serve.py" 2>&1)"
else
    (skip exec/python "no python3")
fi

cat >"$work/serve.js" <<'END'
const child = require('child_process');
const server = require('http').createServer().listen(0, '127.0.0.1', () => {
    console.log(child.execSync('echo execSync').toString().trim());
    console.log(child.spawnSync('sh', ['-c', 'echo $MARK; exit 3'], { env: { MARK: 'given', PATH: process.env.PATH } }).status);
    console.log(child.spawnSync('/nonexistent/program').error.code, child.spawnSync('/etc/passwd').error.code);
    child.execFile('echo', ['execFile'], (err, out) => {
        console.log(err, out.trim());
        const forked = child.fork(__filename.replace('serve.js', 'forked.js'));
        forked.on('message', (m) => console.log(m));
        forked.on('exit', (code) => { console.log(code); server.close(); });
    });
});
END
echo "process.send('forked', () => process.exit(5));" >"$work/forked.js"
if command -v node >/dev/null; then
    is exec/node "$(LD_PRELOAD=$object timeout $HANG node "$work/serve.js" 2>&1)" "$(timeout $HANG node "$work/serve.js" 2>&1)"
else
    (skip exec/node "no node")
fi

# ---- what an exec costs a process that serves ----
cat >"$work/costs.py" <<'END'
import os, socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()
os.chdir("/usr")
os.execv("/bin/true", ["true"])
END
calls()
{
    strace -qq -o "$work/strace" "$@" >/dev/null 2>&1 || return 1
    sed -n '/^chdir("\/usr")/,/^execve(.*true/p' "$work/strace" | grep -c '('
}
if command -v strace >/dev/null && [ -x /usr/bin/python3 ] && bare=$(calls /usr/bin/python3 "$work/costs.py"); then
    added=$(($(calls env LD_PRELOAD="$object" /usr/bin/python3 "$work/costs.py") - bare))
    echo "# system calls before an exec: $added by us"
    if [ "$added" -le 6 ]; then ok exec/added-calls; else fail exec/added-calls "$added"; fi
else
    (skip exec/added-calls "no strace, or no python3")
fi
done_here
