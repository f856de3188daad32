#!/usr/bin/env bash
# Run the tests on each Python from 3.11 to 3.14 that is found, with the newest packages that pyproject.toml
# allows, and on the first of them with the oldest, which later ones need not have.
#
#   scripts/test_matrix.sh [newest | oldest | all] [arguments of pytest]
#
# PYTHONS="/opt/python3.14/bin/python" names the interpreters instead. Environments are made in a temporary
# folder, which goes when the script ends.
set -euo pipefail
cd "$(dirname "$0")/.."

which="${1:-all}"
shift || true
case "$which" in newest | oldest | all) ;; *)
  echo "$0: '$which' is unknown, expected newest, oldest or all" >&2
  exit 2
  ;;
esac

found() {
  local minor
  for minor in 11 12 13 14; do
    command -v "python3.$minor" || ls -d ~/.pyenv/versions/3."$minor".*/bin/python 2>/dev/null | tail -n 1 || true
  done
}

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT

# Every lower bound of pyproject.toml as the only version.
bounds() {
  "$1" -c 'import tomllib
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
wanted = project["dependencies"] + project["optional-dependencies"]["test"]
print(*(each.replace(">=", "==") for each in wanted), sep="\n")'
}

run() { # interpreter, newest or oldest, arguments of pytest
  local python="$1" age="$2" place="$folder/$2"
  shift 2
  rm -rf "$place"
  "$python" -m venv "$place"
  : >"$folder/constraints"
  if [ "$age" = oldest ]; then bounds "$python" >"$folder/constraints"; fi
  "$place/bin/pip" install -qq --disable-pip-version-check -c "$folder/constraints" -e '.[test]'
  "$place/bin/python" -c 'import sys, numpy, snakemake
print("Python", sys.version.split()[0], "NumPy", numpy.__version__, "Snakemake", snakemake.__version__)'
  "$place/bin/python" -m pytest -n auto -p no:cacheprovider "$@"
}

mapfile -t pythons < <(if [ -n "${PYTHONS:-}" ]; then tr ' ' '\n' <<<"$PYTHONS"; else found; fi)
[ "${#pythons[@]}" -gt 0 ] || {
  echo "$0: no Python from 3.11 to 3.14 is found; name some in PYTHONS" >&2
  exit 1
}
if [ "$which" != newest ]; then run "${pythons[0]}" oldest "$@"; fi
if [ "$which" != oldest ]; then
  for python in "${pythons[@]}"; do run "$python" newest "$@"; done
fi
