#!/usr/bin/env bash
# A Debian (or Ubuntu) root file system as a tar, straight from the host's own package archive: no public hub is needed.
# usage: debian-rootfs.sh TARGET.tar [PACKAGE,PACKAGE…]      (run as root)
set -euo pipefail
target=$1 include=${2:-}
. /etc/os-release
sources=()
for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list.d/ubuntu.sources /etc/apt/sources.list; do
  if [ -s "$file" ]; then sources=("$file"); break; fi
done
exec mmdebstrap --quiet --variant=minbase ${include:+--include="$include"} "$VERSION_CODENAME" "$target" "${sources[@]}"
