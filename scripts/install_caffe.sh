#!/usr/bin/env bash
# Build Caffe 1.0 with its Python interface (CPU) on Debian 12 or 13, for `engine: pycaffe`.
#
#   scripts/install_caffe.sh PREFIX
#
# Needs root or sudo for Debian's packages (not where they are installed already), 2 GB of disk
# and about seven minutes on two cores. Afterwards PREFIX/bin/python is a Python that imports
# caffe; name it in the configuration:  pycaffe: {python: PREFIX/bin/python}
# Running it again where Caffe works already changes nothing.
#
# The source is a BSD-licensed fork of BVLC Caffe that PyPI carries, checked by its sha256; its
# arithmetic is that of BVLC's 1.0. Its setup.py insists on conda, so CMake builds it here.
set -euo pipefail

SDIST=brocolli-caffe
VERSION=9.0.2
SHA256=c6410cc60bdd6db685d441b66be7df05410f8850ac88d6b75d48ef9b2315c08a
PYTHON=/usr/bin/python3
PACKAGES=(
  g++ make cmake protobuf-compiler
  python3-dev python3-numpy python3-skimage python3-protobuf python3-six
  libboost-{system,thread,filesystem,regex,python}-dev
  libprotobuf-dev libgflags-dev libgoogle-glog-dev libhdf5-dev libopenblas-dev libgtest-dev
)

say() { printf 'install_caffe: %s\n' "$*"; }
fail() { printf 'install_caffe: error: %s\n' "$*" >&2; exit 1; }

caffe_works() { "$1/bin/python" -c 'import caffe; caffe.Net' >/dev/null 2>&1; }

installed() { dpkg-query -W -f '${Status}\n' "$1" 2>/dev/null | grep -q 'ok installed'; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Install the packages named that are missing.
install_packages() {
  local missing=() package
  for package; do installed "$package" || missing+=("$package"); done
  [ "${#missing[@]}" -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
    fail "Debian's packages need root or sudo: run as root, or let somebody install: ${missing[*]}"
  say "installing ${#missing[@]} packages of Debian"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    "${missing[@]}" >>"$LOG" 2>&1 || fail "apt-get install failed: $(tail -n 1 "$LOG")"
}

debian_packages() {
  local known
  if ! all_installed "${PACKAGES[@]}"; then
    say "reading Debian's list of packages"
    as_root apt-get update >>"$LOG" 2>&1 || fail "apt-get update failed: $(tail -n 1 "$LOG")"
  fi
  install_packages "${PACKAGES[@]}"
  # Debian 13 moved NumPy's headers to a package of their own; Debian 12 does not know it.
  known=$(apt-cache --names-only search '^python3-numpy-dev$')
  if [ -n "$known" ]; then install_packages python3-numpy-dev; fi
}

all_installed() {
  local package
  for package; do installed "$package" || return 1; done
}

# Print a command that runs some pip; downloading needs no particular one.
find_pip() {
  local candidate
  for candidate in "$PYTHON -m pip" "python3 -m pip" pip3 pip; do
    if $candidate --version >/dev/null 2>&1; then echo "$candidate"; return; fi
  done
}

# Download, check and unpack the source into $WORK/source.
fetch_source() {
  local pip archive
  pip=$(find_pip)
  if [ -z "$pip" ]; then
    install_packages python3-pip
    pip=$(find_pip)
  fi
  say "downloading $SDIST $VERSION"
  # pip asks the setup.py of what it downloads for its name: with the hash in a requirements file
  # only after the check, and with PEP 517 by setuptools of its own (Debian 13 has none).
  echo "$SDIST==$VERSION --hash=sha256:$SHA256" >"$WORK/requirements.txt"
  (cd "$WORK" && $pip download --use-pep517 --no-deps --no-binary "$SDIST" \
    --require-hashes --requirement requirements.txt --dest "$WORK") >>"$LOG" 2>&1 ||
    fail "the source could not be downloaded: $(grep -i error "$LOG" | tail -n 1)"
  archive=$WORK/$SDIST-$VERSION.tar.gz
  echo "$SHA256  $archive" | sha256sum --check --status ||
    fail "$archive: its sha256 is not $SHA256"
  mkdir "$WORK/source"
  # The archive contains somebody's .git folder: CMake would ask it for a version.
  tar -xzf "$archive" -C "$WORK/source" --strip-components=1 --exclude='*/.git'
}

# Give the linker the plain names that the source's CMake asks for.
link_libraries() {
  local number=$1 folder
  folder=/usr/lib/$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_config_var("MULTIARCH"))')
  mkdir -p "$WORK/links/lib"
  ln -s "$folder/libboost_python$number.so" "$WORK/links/lib/libboost_python.so"
  ln -s "$folder/libhdf5_serial.so" "$WORK/links/lib/libhdf5.so"
  ln -s "$folder/libhdf5_serial_hl.so" "$WORK/links/lib/libhdf5_hl.so"
  local link
  for link in "$WORK"/links/lib/*; do
    [ -e "$link" ] || fail "$(readlink "$link") is missing: does Debian's Boost suit python3?"
  done
}

build() {
  local version include cores
  version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  include=$("$PYTHON" -c 'import sysconfig, numpy
print(sysconfig.get_path("include") + ":" + numpy.get_include())')
  link_libraries "${version/./}"
  cores=$(nproc)
  say "building for Python $version on $cores cores (some five minutes on two)"
  export CPATH=$include:/usr/include/hdf5/serial
  # Debian 13's Boost no longer brings this header along, and the source forgets to ask for it.
  export CXXFLAGS="${CXXFLAGS:-} -include cfloat"
  cmake -S "$WORK/source" -B "$WORK/build" -DCMAKE_BUILD_TYPE=Release \
    -DANACONDA_HOME="$WORK/links" -DPYTHON_VERSION="python$version" >>"$LOG" 2>&1 &&
    nice -n 5 cmake --build "$WORK/build" --parallel "$cores" >>"$LOG" 2>&1 ||
    { tail -n 20 "$LOG" >&2; fail "the build failed, its last lines are above"; }
}

install_caffe() {
  say "installing into $PREFIX"
  cmake --install "$WORK/build" --prefix "$PREFIX" >>"$LOG" 2>&1 ||
    fail "cannot install into $PREFIX: $(tail -n 1 "$LOG")"
  mkdir -p "$PREFIX/bin"
  cat >"$PREFIX/bin/python" <<'WRAPPER'
#!/bin/sh
# Debian's Python with the Caffe beside this file on its path.
here=$(dirname "$(dirname "$(readlink -f "$0")")")
PYTHONPATH=$here/python${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH
exec /usr/bin/python3 "$@"
WRAPPER
  chmod +x "$PREFIX/bin/python"
}

main() {
  [ $# = 1 ] || fail "usage: scripts/install_caffe.sh PREFIX"
  mkdir -p "$1" 2>/dev/null || fail "$1: cannot be made a folder"
  PREFIX=$(cd "$1" && pwd)
  [ -w "$PREFIX" ] || fail "$PREFIX: not writable"
  if caffe_works "$PREFIX"; then
    say "Caffe is installed in $PREFIX already"
    return
  fi
  command -v apt-get >/dev/null || fail "no apt-get: this script is for Debian 12 and 13"
  WORK=$(mktemp -d)
  trap 'rm -rf "$WORK"' EXIT
  LOG=$WORK/log
  debian_packages
  fetch_source
  build
  install_caffe
  caffe_works "$PREFIX" || fail "built, but: $("$PREFIX/bin/python" -c 'import caffe' 2>&1 | tail -n 1)"
  say "done. In the configuration:  pycaffe: {python: $PREFIX/bin/python}"
}

main "$@"
