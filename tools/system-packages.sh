#!/usr/bin/env bash
# The system packages Dockwright stands on (Debian 12, Ubuntu 24.04 and their like). Run as root; safe to run again.
set -euo pipefail
packages=(
  crun conmon golang-github-containers-common   # runs containers; default seccomp profile
  catatonit                                     # init for --init
  libnftables1 nftables iproute2                # firewall and links
  bind9-dnsutils                                # dig, which the tests ask names with
  busybox-static mmdebstrap                     # base images without a hub
  docker-registry apache2-utils skopeo          # registries for the tests, htpasswd, a foreign witness
  python3-venv procps curl ca-certificates xz-utils openssh-client git
)
missing=()
for p in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
[ ${#missing[@]} = 0 ] && exit 0
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}"
# Debian runs a registry on port 5000 as soon as it installs one; the tests start their own.
if [[ " ${missing[*]} " == *" docker-registry "* ]] && command -v systemctl >/dev/null; then
  systemctl disable --quiet --now docker-registry.service || true
fi
