#!/usr/bin/env bats
# The functions of install.sh, one by one: bats deploy/agent/install.bats. Whole runs of it: scripts/e2e/install-linux-script.e2e.test.ts.

# The functions share variables with us, and stubs are text for another shell.
# shellcheck disable=SC2016,SC2034,SC2154,SC2317

setup() {
  # Everything but the last line, which would begin.
  sed '$d' "$BATS_TEST_DIRNAME/install.sh" >"$BATS_TEST_TMPDIR/functions.sh"
  # shellcheck disable=SC1091
  . "$BATS_TEST_TMPDIR/functions.sh"
  set +u
  tmp=$BATS_TEST_TMPDIR url=https://lai.example os=linux arch=x64 release_key='' flags='' token_file=''
  stubs=$BATS_TEST_TMPDIR/stubs
  mkdir "$stubs"
}

# stub NAME LINE: a program called NAME that does LINE, before all others.
stub() {
  printf '#!/bin/sh\n%s\n' "$2" >"$stubs/$1"
  chmod +x "$stubs/$1"
  case $PATH in "$stubs":*) ;; *) PATH=$stubs:$PATH ;; esac
}

@test "systems and processors have the names that releases give them" {
  for each in 'Linux x86_64 linux-x64' 'Linux aarch64 linux-arm64' 'Darwin arm64 darwin-arm64' 'Darwin x86_64 darwin-x64'; do
    # shellcheck disable=SC2086
    set -- $each
    stub uname "case \$1 in -s) echo $1 ;; -m) echo $2 ;; esac"
    stub sysctl 'exit 1'
    find_platform
    [ "$os-$arch" = "$3" ]
  done
}

@test "a terminal under Rosetta is on Apple silicon" {
  stub uname 'case $1 in -s) echo Darwin ;; -m) echo x86_64 ;; esac'
  stub sysctl 'echo 1'
  find_platform
  [ "$os-$arch" = darwin-arm64 ]
}

@test "what there is no agent for is refused by name" {
  stub uname 'case $1 in -s) echo FreeBSD ;; -m) echo amd64 ;; esac'
  run find_platform
  [ "$status" -eq 1 ] && [[ $output = *'no agent for FreeBSD'* ]]
  stub uname 'case $1 in -s) echo Linux ;; -m) echo riscv64 ;; esac'
  run find_platform
  [ "$status" -eq 1 ] && [[ $output = *'riscv64'* ]]
}

@test "musl is refused before anything is downloaded" {
  stub uname 'case $1 in -s) echo Linux ;; -m) echo x86_64 ;; esac'
  stub ldd 'echo "musl libc (x86_64)" >&2; exit 1'
  run find_platform
  [ "$status" -eq 1 ] && [[ $output = *glibc* ]]
}

@test "options are read, and what is none is refused" {
  read_options --dry-run --user --version 0.2.0-rc.1 --force --token-file /a/b
  [ "$verb $version $is_user $token_file $flags" = 'install 0.2.0-rc.1 yes /a/b  --dry-run --force --user' ]
  read_options --uninstall --purge
  [ "$verb $flags" = 'uninstall  --purge --system' ]
  for bad in '--nonsense' '--version' '--version 1;rm' '--account a b' '--account a/b'; do
    # shellcheck disable=SC2086
    run read_options $bad
    [ "$status" -eq 1 ]
  done
  run read_options --help
  [ "$status" -eq 0 ] && [[ $output = *--uninstall* ]]
}

@test "an address without TLS is refused unless the network is trusted" {
  for each in http://10.0.0.1:8080 http://lai.local http://localhost.evil.example http://127.evil.example http://127.0.0.1.evil.example:80 \
    http://localhostx:1 http://128.0.0.1 ftp://x @LAI_URL@; do
    url=$each
    run check_tools
    [ "$status" -eq 1 ]
  done
  url=http://10.0.0.1:8080 LAI_INSECURE=true
  check_tools
  LAI_INSECURE=''
  for each in https://lai.example http://localhost:1 http://localhost http://127.0.0.1:8080 http://127.1.2.3/lai 'http://[::1]:5240'; do
    url=$each
    check_tools
  done
}

@test "a checksum is the same whatever makes it" {
  echo lai >"$tmp/file"
  wanted=$(sha256sum "$tmp/file" | cut -d ' ' -f 1)
  [ "$(sha256_of "$tmp/file")" = "$wanted" ]
  for kept in shasum openssl; do
    has() { [ "$1" = "$kept" ]; }
    command -v "$kept" >/dev/null || continue
    [ "$(sha256_of "$tmp/file")" = "$wanted" ]
  done
}

@test "answers hold settings, proxies and the token, and nothing else" {
  echo laj_from_a_file >"$tmp/token"
  token_file=$tmp/token
  export LAI_RUNTIME=mock HTTPS_PROXY=http://p:1 no_proxy=lan NODE_OPTIONS=--evil LAI_URL=http://elsewhere
  write_answers
  grep -qx LAI_RUNTIME=mock "$tmp/answers"
  grep -qx HTTPS_PROXY=http://p:1 "$tmp/answers"
  grep -qx no_proxy=lan "$tmp/answers"
  [ "$(grep -c NODE_OPTIONS "$tmp/answers")" = 0 ]
  # The last one counts.
  [ "$(grep ^LAI_TOKEN= "$tmp/answers" | tail -n 1)" = LAI_TOKEN=laj_from_a_file ]
  [ "$(grep ^LAI_URL= "$tmp/answers" | tail -n 1)" = LAI_URL=https://lai.example ]
}

@test "only what changes the machine is done as root" {
  id() { echo 1000; }
  stub sudo 'echo "root: $*"'
  flags=''
  [ "$(as_root echo hello)" = 'root: echo hello' ]
  flags=' --dry-run'
  [ "$(as_root echo hello)" = hello ]
  flags=' --force --user'
  [ "$(as_root echo hello)" = hello ]
  id() { echo 0; }
  flags=''
  [ "$(as_root echo hello)" = hello ]
}
