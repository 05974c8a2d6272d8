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

say "A base image out of the distribution's own package archive (about 20 s)"
bash "$here/tools/debian-rootfs.sh" "$root/rootfs.tar" python3
. /etc/os-release
image="$ID:$VERSION_CODENAME"
dockwright import "$root/rootfs.tar" "$image" >/dev/null
rm "$root/rootfs.tar"
dockwright images

say "A container that serves a web page"
dockwright run --detach --name web --publish 127.0.0.1::8000 "$image" python3 -c '
import http.server, platform, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"Hello from {platform.node()}, process 1 of its own world\n".encode())
http.server.HTTPServer(("", 8000), Page).serve_forever()'
port=$(dockwright port web 8000 | sed 's/.*://')
for _ in $(seq 50); do curl --silent --fail "http://127.0.0.1:$port/" && break; sleep 0.1; done

say "ps, exec and logs"
dockwright ps
dockwright exec web cat /etc/os-release | head -n 1
dockwright logs web

say "The engine as a library, without a daemon"
"$here/.venv/bin/python" "$here/examples/embedded.py" "$root/embedded"

say "Stopped and removed"
dockwright rm --force web
