#!/bin/bash
# boot.sh FOLDER: this machine once more, with a systemd of its own as process 1, in namespaces: files are copied when they
# are written to, into a tmpfs below FOLDER, and its network is a loopback interface. Nothing of this machine is changed.
# What it starts at boot are the basics alone.
set -e
mkdir -p "$1"
exec unshare --mount --net --pid --fork --uts --cgroup --propagation private bash -ec '
layers=$1/layers
mkdir "$layers"
mount -t tmpfs none "$layers"
mkdir "$layers"/{upper,work,root}
root=$layers/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$layers/upper,workdir=$layers/work" "$root"
for place in tmp run dev; do mount -t tmpfs -o mode=755 none "$root/$place"; done
chmod 1777 "$root/tmp"
mkdir -p "$root"/{run/lock,dev/pts,dev/shm}
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
for name in null zero full random urandom tty; do touch "$root/dev/$name" && mount --bind "/dev/$name" "$root/dev/$name"; done
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 none "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx" && ln -s /proc/self/fd "$root/dev/fd"
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
    mount -t tmpfs -o mode=755 none "$root/sys/fs/cgroup"
    mkdir "$root/sys/fs/cgroup/systemd"
    mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
fi
rm -f "$root"/etc/systemd/system/{multi-user,sockets,timers}.target.wants/*
ip link set lo up
cd "$root"
mkdir before && pivot_root . before && cd / && umount -l /before
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=multi-user.target --log-target=journal
' boot "$1"
