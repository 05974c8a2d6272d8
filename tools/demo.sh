#!/usr/bin/env bash
# The tour of the README, on a daemon of its own under a temporary root. Run as root, after `make setup`.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
root=$(mktemp -d /tmp/dockwright-demo.XXXXXX)
export DOCKER_HOST="unix://$root/engine.sock"
unset DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
dockwright() { "$here/.venv/bin/dockwright" "$@"; }
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

finish() {
  status=$?
  if [ -n "${daemon:-}" ] && kill -0 "$daemon" 2>/dev/null; then
    ids=$(dockwright ps -aq 2>/dev/null || true)
    [ -z "$ids" ] || dockwright rm -f $ids >/dev/null 2>&1 || true
    kill "$daemon" && wait "$daemon" 2>/dev/null || true
  fi
  [ $status = 0 ] || { echo "the daemon said:"; tail -n 20 "$root/daemon.log" 2>/dev/null; }
  rm -rf "$root"
  exit $status
}
trap finish EXIT

say "A daemon under $root"
"$here/.venv/bin/dockwrightd" --host "$DOCKER_HOST" --data-root "$root/data" --exec-root "$root/exec" \
  --bridge dwdemo0 >"$root/daemon.log" 2>&1 &
daemon=$!
for _ in $(seq 100); do dockwright version >/dev/null 2>&1 && break; sleep 0.1; done
dockwright version --format 'Dockwright {{.Server.Version}}, API {{.Server.APIVersion}}'

say "A base image out of the distribution's own signed package archive (about 20 s)"
. /etc/os-release
image="$ID:$VERSION_CODENAME"
dockwright image bootstrap "$image" 2>&1 | tail -n 1
dockwright images

say "A small web application is built of it: examples/guestbook"
dockwright build --build-arg "BASE=$image" --tag guestbook "$here/examples/guestbook"

say "It runs: published on localhost, its data on a volume, its health looked after"
dockwright run --detach --name web --publish 127.0.0.1::8000 --volume book:/data guestbook >/dev/null
url="http://127.0.0.1:$(dockwright port web 8000 | sed 's/.*://')/"
for _ in $(seq 100); do
  [ "$(dockwright inspect --format '{{.State.Health.Status}}' web)" != starting ] && break
  sleep 0.1
done
curl --silent --show-error --fail --data "Ada was here" "$url"
curl --silent --show-error --fail "$url"

say "ps, exec and logs"
dockwright ps
dockwright exec web python3 --version
dockwright logs --tail 3 web

say "A comment in its source is changed, and it is built again: what went before comes from the cache"
cp -r "$here/examples/guestbook" "$root/guestbook"
echo "# changed" >>"$root/guestbook/guestbook.py"
before=$(date +%s%N)
dockwright build --quiet --build-arg "BASE=$image" --tag guestbook "$root/guestbook"
echo "rebuilt in $((($(date +%s%N) - before) / 1000000)) ms"

say "The new image takes the old one's place; the guest book stays"
dockwright rm --force web
dockwright run --detach --name web --publish 127.0.0.1::8000 --volume book:/data guestbook >/dev/null
url="http://127.0.0.1:$(dockwright port web 8000 | sed 's/.*://')/"
for _ in $(seq 100); do curl --silent --fail "$url" && break; sleep 0.1; done

say "The engine as a library, without a daemon"
"$here/.venv/bin/python" "$here/examples/embedded.py" "$root/embedded"

say "Stopped and removed"
dockwright rm --force web
