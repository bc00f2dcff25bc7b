#!/usr/bin/env bats
# install.sh as it comes out of a pipe, in the shell that TEST_SHELL names (dash, busybox sh, bash). curl, sudo and uname are stand-ins that
# write down how they were called; the release is a real archive whose Node is a script. Its functions one by one: install.bats.

# Stubs are text for another shell.
# shellcheck disable=SC2016

setup() {
  read -ra shell <<<"${TEST_SHELL:-sh}"
  script=$BATS_TEST_DIRNAME/install.sh
  dir=$BATS_TEST_TMPDIR
  stubs=$dir/stubs site=$dir/site calls=$dir/calls
  mkdir -p "$stubs" "$site/latest" "$site/1.2.3" "$dir/home" "$dir/tmp"
  : >"$calls"
  fill 'https://lai.test' '' >"$dir/install.sh"
  stub uname 'case $1 in -s) echo "${TEST_OS:-Linux}" ;; -m) echo "${TEST_ARCH:-x86_64}" ;; esac'
  stub sysctl 'echo "${TEST_TRANSLATED:-0}"'
  stub ldd 'echo "${TEST_LDD:-ldd (Debian GLIBC) 2.36}"'
  stub sudo 'echo "sudo $*" >>"$calls"; "$@"'
  stub id 'echo "${TEST_UID:-1000}"'
  # The last two words are: -o, where; before them options; after them the address.
  stub curl 'for word; do last=$word; done
while [ $# -gt 0 ]; do [ "$1" = -o ] && out=$2; shift; done
echo "curl $last" >>"$calls"
cp "$site/${last#https://lai.test/dl/}" "$out" 2>/dev/null || exit 22'
  export PATH=$stubs:$PATH HOME=$dir/home TMPDIR=$dir/tmp calls site dir
  unset LAI_TOKEN LAI_INSECURE "${!LAI_@}" || true
}

stub() {
  printf '#!/bin/sh\n%s\n' "$2" >"$stubs/$1"
  chmod +x "$stubs/$1"
}

fill() {
  sed "s|@LAI_URL@|$1|; s|@LAI_RELEASE_KEY@|$2|" "$script"
}

# The whole script, as it comes out of a pipe.
pasted() {
  run "${shell[@]}" -s -- "$@" <"$dir/install.sh"
}

says() {
  [[ $output == *"$1"* ]] || {
    echo "'$1' is not in: $output"
    return 1
  }
}

# A release for linux-x64 whose Node writes down what it is asked to do.
release() {
  local program=$dir/program
  mkdir -p "$program/runtime/24.0.0/bin" "$program/versions/1.2.3"
  printf '#!/bin/sh\n[ "$1" = --version ] && exit 0\nwhile IFS= read -r _; do :; done\nprintf "node" >>"%s"; for w; do printf " %%s" "${w##*/lai-install.}" >>"%s"; done; echo >>"%s"\ncase $* in *--answers*) for w; do [ "$before" = --answers ] && cp "$w" "%s/answers" && ls -l "$w" | cut -c 1-10 >"%s/mode"; before=$w; done ;; esac\nexit "${TEST_NODE_CODE:-0}"\n' \
    "$calls" "$calls" "$calls" "$dir" "$dir" >"$program/runtime/24.0.0/bin/node"
  chmod +x "$program/runtime/24.0.0/bin/node"
  echo '// agent' >"$program/versions/1.2.3/lai-agent.js"
  tar -czf "$site/1.2.3/linux-x64.tar.gz" -C "$program" .
  (cd "$site/1.2.3" && sha256sum linux-x64.tar.gz >SHA256SUMS)
  echo 'none' >"$site/1.2.3/SHA256SUMS.sig"
  printf '{\n  "version": "1.2.3",\n  "minimumVersion": "0.1.0"\n}\n' >"$site/latest/manifest.json"
  cp "$site/latest/manifest.json" "$site/1.2.3/manifest.json"
}

# `! grep` would pass: bats looks at failures alone.
lacks() {
  if grep -q -- "$1" "$2"; then
    echo "'$1' is in: $(cat "$2")"
    return 1
  fi
}

nothing_left() {
  [ -z "$(ls "$dir/tmp")" ]
}

@test "it says how it is used, and does nothing" {
  pasted --help
  [ "$status" -eq 0 ]
  says '--uninstall'
  [ ! -s "$calls" ]
}

@test "it takes nothing that the release does not say" {
  release
  printf 'x' >>"$site/1.2.3/linux-x64.tar.gz"
  pasted
  [ "$status" -eq 1 ] && says 'not what the release says'
  lacks '^node\|^sudo' "$calls"
  nothing_left
}

@test "it says when there is nothing for this machine" {
  release
  TEST_ARCH=aarch64 pasted
  [ "$status" -eq 1 ] && says 'not made for linux-arm64'
  rm "$site/latest/manifest.json"
  pasted
  [ "$status" -eq 1 ] && says 'does the coordinator have a release'
  nothing_left
}

@test "it hands over to the agent as root, with the token in a closed file" {
  release
  LAI_TOKEN=laj_secret LAI_NODE_NAME=attic HTTPS_PROXY=http://proxy AWS_SECRET=mine pasted
  [ "$status" -eq 0 ] || { echo "$output"; return 1; }
  grep -q '^sudo .*/node .*lai-agent.js service install --from .* --answers ' "$calls"
  grep -qx 'LAI_TOKEN=laj_secret' "$dir/answers"
  grep -qx 'LAI_NODE_NAME=attic' "$dir/answers"
  grep -qx 'HTTPS_PROXY=http://proxy' "$dir/answers"
  grep -qx 'LAI_URL=https://lai.test' "$dir/answers"
  lacks 'AWS\|HOME=' "$dir/answers"
  lacks laj_secret "$calls"
  [ "$(cat "$dir/mode")" = '-rw-------' ]
  nothing_left
}

@test "it reads the token from a file" {
  release
  echo laj_of_file >"$dir/token"
  pasted --token-file "$dir/token"
  [ "$status" -eq 0 ]
  grep -qx 'LAI_TOKEN=laj_of_file' "$dir/answers"
  lacks laj_of_file "$calls"
}

@test "a dry run needs no root and says so to the agent" {
  release
  pasted --dry-run
  [ "$status" -eq 0 ] || { echo "$output"; return 1; }
  lacks '^sudo' "$calls"
  grep -q '^node .*service install .*--dry-run' "$calls"
  nothing_left
}

@test "of a user it needs no root either, and root needs no sudo" {
  release
  pasted --user
  lacks '^sudo' "$calls"
  grep -q -- '--user' "$calls"
  : >"$calls"
  TEST_UID=0 pasted
  lacks '^sudo' "$calls"
}

@test "it fails when the agent fails, and leaves nothing of its own" {
  release
  TEST_NODE_CODE=7 pasted
  [ "$status" -eq 7 ] || { echo "$status $output"; return 1; }
  nothing_left
}

@test "it lets an agent that is there uninstall itself" {
  mkdir -p "$HOME/.local/bin"
  printf '#!/bin/sh\necho "agent $*" >>"$calls"\n' >"$HOME/.local/bin/lai-agent"
  chmod +x "$HOME/.local/bin/lai-agent"
  pasted --uninstall --purge --user
  [ "$status" -eq 0 ] || { echo "$output"; return 1; }
  grep '^agent uninstall ' "$calls" | grep -e --user | grep -q -e --purge
  lacks '^curl' "$calls"
}

@test "it brings an agent to uninstall one that is broken" {
  release
  mkdir -p "$HOME/.local/bin"
  printf '#!/bin/sh\nexit 1\n' >"$HOME/.local/bin/lai-agent"
  chmod +x "$HOME/.local/bin/lai-agent"
  pasted --uninstall --user --dry-run
  [ "$status" -eq 0 ] || { echo "$output"; return 1; }
  grep '^node .*lai-agent.js uninstall ' "$calls" | grep -e --user | grep -q -e --dry-run
  nothing_left
}

@test "half of it does nothing, wherever it ends" {
  release
  for command in curl wget tar mktemp rm mkdir sed grep openssl sha256sum env cat head; do
    stub "$command" "echo '$command' >>'$calls'"
  done
  size=$(wc -c <"$dir/install.sh")
  # At each end of a line or in its middle, and at each of the last forty characters.
  mapfile -t cuts < <(
    /usr/bin/env -i LC_ALL=C PATH=/usr/bin:/bin awk -v size="$size" '
      { start = at; at += length($0) + 1; print NR % 3 == 0 ? int((start + at) / 2) : at }
      END { for (i = size - 40; i < size; i++) print i }' "$dir/install.sh" | sort -nu
  )
  [ "${#cuts[@]}" -gt 200 ]
  for cut in "${cuts[@]}"; do
    [ "$cut" -lt "$((size - 1))" ] || continue
    /usr/bin/head -c "$cut" "$dir/install.sh" | "${shell[@]}" -s -- --user >/dev/null 2>&1 || true
    [ ! -s "$calls" ] || { echo "cut at $cut of $size ran: $(/bin/cat "$calls")"; return 1; }
  done
}
