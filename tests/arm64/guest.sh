#!/bin/sh
# guest.sh BUILD ROOT SLOW COMMAND...: it is run in an emulated aarch64 machine: the kernel and the files of
# ROOT (root.sh --kernel), our tests, and the servers and the library of BUILD, all in its memory. It has no network but its own
# loopback, and nothing of this machine; its console is our output. SLOW: how many times longer everything may take there.
set -eu
build=$(realpath "$1") root=$(realpath "$2") slow=$3
shift 3
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

mkdir -p "$work/over/lastcall/tests" "$work/over/lastcall/build" "$work/over/etc"
cp -R tests/e2e tests/integration "$work/over/lastcall/tests/"
for part in e2e integration; do
    mkdir -p "$work/over/lastcall/build/$part"
    find "$build/$part" -maxdepth 1 -type f -perm -1 -exec cp '{}' "$work/over/lastcall/build/$part/" ';'
done
cp "$build/liblastcall.so" "$build/lastcall" "$work/over/lastcall/build/"
printf 'root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >"$work/over/etc/passwd"
printf 'root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n' >"$work/over/etc/group"
echo '127.0.0.1 localhost' >"$work/over/etc/hosts"
cat >"$work/over/init" <<END
#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/usr/local/bin BUILD=/lastcall/build HOME=/root E2E_SLOW=$slow
for at in proc:/proc sysfs:/sys devtmpfs:/dev tmpfs:/tmp tmpfs:/run; do
    busybox mkdir -p "\${at#*:}"
    busybox mount -t "\${at%:*}" none "\${at#*:}"
done
busybox mkdir -p /dev/shm /usr/local/bin /var/log/nginx /var/lib/nginx /root
busybox ln -s /proc/self/fd /dev/fd
ip link set lo up
for module in inet_diag tcp_diag; do
    busybox insmod /boot/\$module.ko
done
echo "guest: \$(busybox uname -srm), \$(nginx -v 2>&1), \$(python3 --version)"
busybox ln -s busybox /bin/sh
busybox ln -s busybox /bin/true
busybox --install /usr/local/bin # what a test may call and no package has
cd /lastcall
$*
echo "guest: exit status \$?"
busybox poweroff -f
END
chmod 755 "$work/over/init"

# Later archives are unpacked over earlier ones.
(cd "$root" && find . -path ./boot/vmlinuz -prune -o -path ./usr/share/doc -prune -o -print | cpio -o -H newc -R 0:0 --quiet) >"$work/initrd"
(cd "$work/over" && find . | cpio -o -H newc -R 0:0 --quiet) >>"$work/initrd"

nice -n 5 timeout "${GUEST_TIMEOUT:-3000}" qemu-system-aarch64 -M virt -cpu cortex-a72 -smp 2 -m 3G -nic none -display none -monitor none \
    -serial stdio -no-reboot -kernel "$root/boot/vmlinuz" -initrd "$work/initrd" -append 'console=ttyAMA0 quiet panic=-1 rdinit=/init' \
    </dev/null >"$work/said" 2>&1 &
pid=$!
tail -n +1 -f --pid=$pid "$work/said" | sed -u 's/\r$//'
wait $pid || true
pid=
grep -q 'guest: exit status 0' "$work/said"
