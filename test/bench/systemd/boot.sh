#!/bin/sh
# Becomes systemd, process 1 of namespaces of its own, on a copy-on-write view of this machine's files; nothing of it stays.
# usage: unshare --pid --fork --mount --cgroup --uts --ipc --net sh boot.sh FOLDER
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
cd "$1"
mkdir upper work root
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" root
cd root
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
mount --rbind /dev dev
ip link set lo up
rm -f etc/systemd/system/multi-user.target.wants/*
ln -sf /lib/systemd/system/multi-user.target etc/systemd/system/default.target
: >etc/machine-id
# A changed root would do, but for PrivateUsers: user namespaces are refused to who was chrooted.
mkdir before
pivot_root . before
cd /
umount -l before
exec env -i container=lxc PATH="$PATH" /lib/systemd/systemd --system --log-target=journal
