#!/usr/bin/env bash
# The system packages Dockwright stands on (Debian 12, Ubuntu 24.04 and their like). Run as root; safe to run again.
set -euo pipefail
packages=(
  crun conmon golang-github-containers-common   # runs containers; default seccomp profile
  catatonit                                     # init for --init
  libnftables1 nftables iproute2                # firewall and links
  bind9-dnsutils                                # dig, which the tests ask names with
  busybox-static mmdebstrap                     # base images without a hub
  python3-venv procps curl ca-certificates xz-utils openssh-client
)
missing=()
for p in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
[ ${#missing[@]} = 0 ] && exit 0
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}"
