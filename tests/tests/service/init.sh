# What becomes the first process of a system in namespaces of its own: mounts what systemd wants to find, and is it then.
# $1: the root, an empty directory; $2: the binary; $3: the unit; $4: a directory with the policy
set -eu
mount -t tmpfs -o mode=755 tmpfs "$1"
cd "$1"
mkdir -p usr/sbin usr/bin usr/lib usr/lib64 etc/systemd/system proc sys dev run tmp var/lib var/log var/tmp root home old
for directory in bin lib lib64; do
    if [ -d /usr/$directory ]; then mount --bind -o ro /usr/$directory usr/$directory; fi
    ln -s usr/$directory $directory
done
ln -s usr/sbin sbin
# Targets and nothing that they want: no journal, no devices, no logins.
mkdir units
cp /usr/lib/systemd/system/*.target units
mount --bind units usr/lib/systemd/system
touch usr/sbin/sipwall
mount --bind "$2" usr/sbin/sipwall
cp "$3" etc/systemd/system/sipwall.service
cp -r "$4" etc/sipwall
mkdir -p etc/systemd/system/sipwall.service.d
# As everywhere, but the watchdog, for which nobody would wait.
printf '[Service]\nWatchdogSec=8\nStandardError=append:/run/log\n' > etc/systemd/system/sipwall.service.d/test.conf
printf '[Unit]\nDescription=Nothing but what is wanted\nWants=multi-user.target\n' > etc/systemd/system/default.target
printf 'root:x:0:0:root:/root:/bin/sh\n' > etc/passwd
printf 'root:x:0:\n' > etc/group
touch etc/machine-id
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t bpf bpf sys/fs/bpf
mount -t tmpfs tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
    touch dev/$device
    mount --bind /dev/$device dev/$device
done
mkdir dev/pts
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
pivot_root . old
umount -l old
export container=test
exec /usr/lib/systemd/systemd --system --unit=default.target --log-target=null --show-status=no
