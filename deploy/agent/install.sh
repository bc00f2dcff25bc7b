#!/bin/sh
# Makes this machine (Linux or macOS) a node of a Lai fleet; the same again repairs it, or brings it to a newer version. Served by the
# coordinator, which fills in its address and the key of its releases. Needs nothing from anywhere else.
#
#   curl -fsSL https://<coordinator>/install.sh | LAI_TOKEN='<token>' sh
#   curl -fsSL https://<coordinator>/install.sh | sh -s -- --dry-run
#   curl -fsSL https://<coordinator>/install.sh | sh -s -- --uninstall [--purge]
#
# Settings are variables and stay: LAI_NODE_NAME, LAI_RUNTIME, LAI_OLLAMA_URL …, HTTPS_PROXY, NO_PROXY, NODE_EXTRA_CA_CERTS. The token
# is used once and kept nowhere. Everything is in functions, and the last line is one block: half a download runs nothing.

set -eu

say() { printf 'lai: %s\n' "$*"; }

die() {
  printf 'lai: %s\n' "$*" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

usage() {
  cat <<'EOF'
install.sh [--dry-run] [--version V] [--force] [--user] [--account NAME] [--token-file FILE]
install.sh --uninstall [--purge] [--dry-run] [--user]

  --dry-run      look at everything, change nothing, say what would be done
  --version V    another version than the newest that the coordinator has
  --force        also an older version, or one that this machine took back
  --user         for this user alone, without rights over the machine
  --account N    macOS: whom the service runs as (default: who runs this)
  --token-file F the registration token, instead of the variable LAI_TOKEN
  --uninstall    take service and program away; --purge: settings, identity, models and account too
EOF
}

read_options() {
  verb=install version=latest token_file='' is_user='' flags=''
  while [ $# -gt 0 ]; do
    case $1 in
      --dry-run | --force | --purge) flags="$flags $1" ;;
      --user) is_user=yes ;;
      --uninstall) verb=uninstall ;;
      --version | --account | --token-file)
        [ $# -ge 2 ] || die "$1 wants a value"
        case $1 in
          --version) version=$2 ;;
          --token-file) token_file=$2 ;;
          *)
            case $2 in *[!A-Za-z0-9._-]*) die "$2 is no name of an account" ;; esac
            flags="$flags $1 $2"
            ;;
        esac
        shift
        ;;
      -h | --help)
        usage
        exit 0
        ;;
      *) die "there is no option $1; --help tells which there are" ;;
    esac
    shift
  done
  if [ -n "$is_user" ]; then flags="$flags --user"; else flags="$flags --system"; fi
  case $version in *[!0-9A-Za-z.-]*) die "$version is no version" ;; esac
}

find_platform() {
  os=$(uname -s) arch=$(uname -m)
  case $os in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    *) die "there is no agent for $os; for Windows there is $url/install.ps1" ;;
  esac
  case $arch in
    x86_64 | amd64) arch=x64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) die "there is no agent for processors called $arch" ;;
  esac
  # A terminal under Rosetta says x86_64.
  if [ "$os" = darwin ] && [ "$(sysctl -n sysctl.proc_translated 2>/dev/null)" = 1 ]; then arch=arm64; fi
  if [ "$os" = linux ] && (ldd --version 2>&1 || true) | grep -qi musl; then
    die 'the agent needs glibc, and this system (Alpine?) has musl'
  fi
}

# The host and nothing but: localhost.example.org is another machine.
is_this_machine() {
  host=${url#http://}
  host=${host%%/*}
  host=${host%:*}
  case $host in
    localhost | '[::1]') ;;
    *[!0-9.]*) return 1 ;;
    127.*.*.*) ;;
    *) return 1 ;;
  esac
}

check_tools() {
  has tar || die 'tar is needed'
  has curl || has wget || die 'curl or wget is needed'
  has sha256sum || has shasum || has openssl || die 'sha256sum, shasum or openssl is needed'
  case $url in
    https://*) ;;
    http://*)
      is_this_machine || [ -n "${LAI_INSECURE:-}" ] ||
        die "$url is not encrypted: whoever is on the way can read prompts and answers. Use https, or say LAI_INSECURE=true if you trust the network"
      ;;
    *) die 'this script is a template; get it from your coordinator: <its address>/install.sh' ;;
  esac
}

# Whoever redirects is not the coordinator, so curl does not follow (and whatever wget brings has to pass the checks). A certificate
# that the coordinator made itself is known by its key: another key is refused, although authorities are not asked.
fetch() {
  if has curl; then
    curl -fsS ${tls_pin:+-k --pinnedpubkey "sha256//$tls_pin"} --retry 3 --connect-timeout 15 -o "$2" "$url/dl/$1"
  else
    wget -q ${tls_pin:+--no-check-certificate "--pinnedpubkey=sha256//$tls_pin"} -O "$2" "$url/dl/$1"
  fi || die "$url/dl/$1 cannot be had; does the coordinator have a release for $os-$arch?"
}

sha256_of() {
  if has sha256sum; then
    sha256sum "$1"
  elif has shasum; then
    shasum -a 256 "$1"
  else
    openssl dgst -sha256 -r "$1"
  fi | cut -d ' ' -f 1
}

# Ed25519, which LibreSSL (macOS) and OpenSSL before 3.0 cannot check from the command line.
check_signature() {
  if [ -z "$release_key" ]; then
    say 'the coordinator told no key of its releases, so their signature is not checked'
  elif ! has openssl || ! (openssl pkeyutl -help 2>&1 || true) | grep -q rawin; then
    say 'no openssl here that checks Ed25519: the download is checked by its checksum alone'
  else
    # Before the key: what says "an Ed25519 public key follows" in DER.
    printf -- '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA%s\n-----END PUBLIC KEY-----\n' "$release_key" >"$tmp/key.pem"
    tr -d '\n' <"$tmp/SHA256SUMS.sig" | openssl base64 -d -A >"$tmp/signature"
    openssl pkeyutl -verify -pubin -inkey "$tmp/key.pem" -rawin -in "$tmp/SHA256SUMS" -sigfile "$tmp/signature" >/dev/null 2>&1 ||
      die 'the release is not signed with the key of this coordinator. Nothing was changed'
  fi
}

# Leaves the program of a bare machine in $tmp/program, and its Node in $node.
unpack_release() {
  fetch "$version/manifest.json" "$tmp/manifest.json"
  version=$(sed -n 's/.*"version": *"\([0-9A-Za-z.-]*\)".*/\1/p' "$tmp/manifest.json" | head -n 1)
  [ -n "$version" ] || die "$url has no release that could be installed"
  archive=$os-$arch.tar.gz
  say "downloading version $version for $os-$arch from $url"
  fetch "$version/SHA256SUMS" "$tmp/SHA256SUMS"
  fetch "$version/SHA256SUMS.sig" "$tmp/SHA256SUMS.sig"
  check_signature
  wanted=$(sed -n "s/^\([0-9a-f]\{64\}\)  $archive\$/\1/p" "$tmp/SHA256SUMS")
  [ -n "$wanted" ] || die "version $version is not made for $os-$arch"
  fetch "$version/$archive" "$tmp/$archive"
  [ "$(sha256_of "$tmp/$archive")" = "$wanted" ] || die 'the download is not what the release says. Nothing was changed'
  mkdir "$tmp/program"
  tar -xzf "$tmp/$archive" -C "$tmp/program"
  rm "$tmp/$archive"
  for node in "$tmp"/program/runtime/*/bin/node; do :; done
  "$node" --version >/dev/null 2>&1 ||
    die "the agent's Node does not run in $tmp. Where programs may not run there: TMPDIR=/var/tmp before the line"
}

# Variables that stay as settings, and the token: in a file, because a command line can be read by everybody on the machine.
write_answers() {
  env | grep -E '^(LAI_[A-Z0-9_]+|[a-z]+_proxy|[A-Z]+_PROXY|NODE_EXTRA_CA_CERTS)=' >"$tmp/answers" || true
  [ -z "$token_file" ] || printf 'LAI_TOKEN=%s\n' "$(cat "$token_file")" >>"$tmp/answers"
  printf 'LAI_URL=%s\n' "$url" >>"$tmp/answers"
}

# What changes the machine is done as root; looking at it is not.
as_root() {
  case " $flags " in *' --dry-run '* | *' --user '*) ;; *)
    if [ "$(id -u)" -ne 0 ]; then
      has sudo || die 'this changes the machine: run it as root, or with --user for yourself alone'
      set -- sudo "$@"
    fi
    ;;
  esac
  # The script itself may be standard input.
  "$@" </dev/null
}

main() {
  url='@LAI_URL@'
  release_key='@LAI_RELEASE_KEY@'
  tls_pin='@LAI_TLS_PIN@'
  umask 077
  read_options "$@"
  find_platform
  installed=/usr/local/bin/lai-agent
  [ -z "$is_user" ] || installed=$HOME/.local/bin/lai-agent
  # shellcheck disable=SC2086 # flags are words
  if [ "$verb" = uninstall ] && "$installed" --version >/dev/null 2>&1; then
    as_root "$installed" uninstall $flags
    return
  fi
  check_tools
  tmp=$(mktemp -d "${TMPDIR:-/tmp}/lai-install.XXXXXX")
  trap 'rm -rf "$tmp"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' HUP TERM
  unpack_release
  bundle=$tmp/program/versions/$version/lai-agent.js
  # shellcheck disable=SC2086
  if [ "$verb" = uninstall ]; then
    as_root "$node" "$bundle" uninstall $flags
  else
    write_answers
    as_root "$node" "$bundle" service install --from "$tmp/program" --answers "$tmp/answers" $flags
  fi
}

{ main "$@"; }
