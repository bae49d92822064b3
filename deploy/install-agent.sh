#!/bin/sh
# Installs Espalier's agent on a device, as a systemd service. On the machine that has the repository:
#
#   npm ci && npm run build && npm pack -w shared -w agent
#   espalier tokens create
#   scp espalier-*.tgz deploy/install-agent.sh deploy/espalier-agent.service pi@pi-1:
#
# and on the device:  sudo sh install-agent.sh --enrol CODE
#
# A device without a network (and without npm) takes an archive in place of the packages, made on a machine that has one:
#
#   sh deploy/install-agent.sh --pack espalier-agent-linux.tar.gz
#
# It runs on 64-bit Linux (arm64 or x86-64) with glibc 2.28 or newer: NVIDIA JetPack 5 and newer, the 64-bit
# Raspberry Pi OS (bullseye and newer), Debian 10 and newer, Ubuntu 20.04 and newer; and needs Node.js 20 or newer.
set -eu

usage() {
  cat <<'TEXT'
usage: install-agent.sh (--enrol CODE | --credential FILE) [--options "…"] [--root DIR] | --pack FILE | --check

  --enrol CODE       what `espalier tokens create` printed: this device gets a credential of its own
  --credential FILE  what `espalier devices create ID` printed for this device
  --options TEXT     options of `espalier-agent run`, for example "--memory 64MB --p95 20"
  --root DIR         installs below DIR and starts nothing (to prepare an image)
  --pack FILE        only makes an archive of everything that is installed, for arm64 and x86-64; where such an archive
                     (espalier-agent-linux*.tar.gz) lies beside this script, no network is needed
  --check            only says whether the agent can run here

Run it again to upgrade: the credential, the options and the state are kept.
TEXT
}

fail() {
  printf 'install-agent: %s\n' "$1" >&2
  exit 1
}

wrong_usage() {
  printf 'install-agent: %s\n\n' "$1" >&2
  usage >&2
  exit 2
}

# at_least HAVE WANTED: compares dotted versions.
at_least() {
  [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

check_device() {
  case "$(uname -m)" in
    aarch64 | x86_64) ;;
    *) fail "this machine is $(uname -m); the agent needs 64-bit ARM (aarch64) or x86-64. A 64-bit Raspberry Pi may be running a 32-bit system: install the 64-bit Raspberry Pi OS" ;;
  esac
  [ "$(getconf LONG_BIT)" = 64 ] || fail 'the kernel is 64-bit but the system on it is 32-bit; install a 64-bit one'
  libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || fail 'this system has no glibc (Alpine?); onnxruntime needs glibc 2.28 or newer'
  at_least "${libc#glibc }" 2.28 || fail "this system has $libc; onnxruntime needs glibc 2.28 or newer (JetPack 5, Debian 10, Ubuntu 20.04 or newer)"
  command -v node >/dev/null || fail 'Node.js is missing; install version 20 or newer for all users (https://nodejs.org/en/download)'
  node=$(node --version)
  at_least "${node#v}" 20.0.0 || fail "Node.js is $node; the agent needs 20 or newer"
  [ -n "$archive" ] || command -v npm >/dev/null || fail 'npm is missing; it comes with Node.js'
  echo "$(uname -m), $libc, Node.js $node: the agent can run here"
}

code='' credential='' options='' root='' check='' pack=''
while [ $# -gt 0 ]; do
  case "$1" in
    --enrol | --credential | --options | --root | --pack)
      [ $# -ge 2 ] || wrong_usage "$1 needs a value"
      case "$1" in
        --enrol) code=$2 ;;
        --credential) credential=$2 ;;
        --options) options=$2 ;;
        --root) root=${2%/} ;;
        --pack) pack=$2 ;;
      esac
      shift
      ;;
    --check) check=yes ;;
    -h | --help) usage && exit 0 ;;
    *) wrong_usage "unknown option $1" ;;
  esac
  shift
done

here=$(cd "$(dirname "$0")" && pwd)
# newest PATTERN: the file beside this script.
newest() {
  find "$here" -maxdepth 1 -name "$1" | sort -V | tail -n 1
}
archive=$(newest 'espalier-agent-linux*.tar.gz')
check_device
[ -z "$check" ] || exit 0

shared=$(newest 'espalier-shared-*.tgz')
agent=$(newest 'espalier-agent-[0-9]*.tgz')
unit=$here/espalier-agent.service
if [ -n "$pack" ]; then
  archive=''
fi
if [ -z "$archive" ] && { [ -z "$shared" ] || [ -z "$agent" ]; }; then
  fail "espalier-shared-*.tgz and espalier-agent-*.tgz must lie beside this script ($here); make them with: npm pack -w shared -w agent"
fi

# fill DIR: everything that runs on a device, with libraries for Linux alone.
fill() {
  if [ -n "$archive" ]; then
    tar -xzf "$archive" -C "$1" || fail "$archive cannot be unpacked; copy it here once more"
    return
  fi
  (cd "$1" && npm_config_onnxruntime_node_install=skip \
    npm install --omit=dev --no-audit --no-fund --no-package-lock --loglevel=error "$shared" "$agent")
  for libraries in "$1"/node_modules/onnxruntime-node/bin/napi-v*; do
    find "$libraries" -mindepth 1 -maxdepth 1 -type d ! -name linux -exec rm -rf {} +
  done
}

if [ -n "$pack" ]; then
  filled=$(mktemp -d)
  trap 'rm -rf "$filled"' EXIT
  fill "$filled"
  tar -czf "$pack.new" -C "$filled" node_modules
  mv "$pack.new" "$pack"
  echo "$pack is ready; copy it to the device, beside install-agent.sh and espalier-agent.service"
  exit 0
fi
[ -f "$unit" ] || fail "espalier-agent.service must lie beside this script ($here)"

etc=$root/etc/espalier-agent
if [ -n "$credential" ]; then
  [ -f "$credential" ] || fail "there is no file $credential"
  node -e "
    const { id, password, broker, servicePublicKey } = JSON.parse(require('fs').readFileSync(process.argv[1], 'utf8'))
    if (![id, password, broker, servicePublicKey].every((v) => typeof v === 'string' && v !== '')) process.exit(1)
  " "$credential" 2>/dev/null || fail "$credential is not a device's credential (JSON with id, password, broker and servicePublicKey)"
elif [ -z "$code" ] && [ ! -f "$etc/credential.json" ]; then
  wrong_usage 'the first installation needs --enrol CODE or --credential FILE'
fi
if [ -z "$root" ]; then
  [ "$(id -u)" -eq 0 ] || fail 'run it as root: sudo sh install-agent.sh …'
  command -v systemctl >/dev/null || fail 'systemd is missing; use --root DIR and start espalier-agent by other means'
fi

# The new version is complete beside the old one before it takes its place.
opt=$root/opt/espalier-agent
mkdir -p "$root/opt" "$etc"
rm -rf "$opt.new"
mkdir "$opt.new"
fill "$opt.new"
node "$opt.new/node_modules/@espalier/agent/dist/main.js" --help >/dev/null || fail 'the installed agent does not start; nothing was changed'

if [ -z "$root" ]; then
  id espalier-agent >/dev/null 2>&1 || useradd --system --home-dir /var/lib/espalier-agent --no-create-home --shell /usr/sbin/nologin espalier-agent
fi
[ -z "$credential" ] || install -m 0600 "$credential" "$etc/credential.json"
# The host's name as its id, or another where that is taken.
enrol() {
  node "$opt.new/node_modules/@espalier/agent/dist/main.js" enrol "$code" --force --credential "$etc/credential.json" "$@"
}
[ -z "$code" ] || enrol --id "$(hostname | tr -cs 'A-Za-z0-9._\n-' '-')" || enrol ||
  fail 'this device was not enrolled; the version that was installed before stays'
[ -n "$root" ] || chown espalier-agent: "$etc/credential.json"
if [ -n "$options" ] || [ ! -f "$etc/environment" ]; then
  printf 'ESPALIER_AGENT_OPTIONS=%s\n' "$options" >"$etc/environment"
fi
mkdir -p "$root/etc/systemd/system"
install -m 0644 "$unit" "$root/etc/systemd/system/espalier-agent.service"
rm -rf "$opt.old"
[ ! -e "$opt" ] || mv "$opt" "$opt.old"
mv "$opt.new" "$opt"
rm -rf "$opt.old"

if [ -n "$root" ]; then
  echo "installed below $root; nothing was started"
  exit 0
fi
systemctl daemon-reload
systemctl enable espalier-agent.service
systemctl restart espalier-agent.service
echo 'espalier-agent is running; its log: journalctl -u espalier-agent -f'
