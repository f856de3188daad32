#!/usr/bin/env bash
# Say which tracked files are larger than 3 MB: results and weights belong elsewhere.
set -euo pipefail

limit=$((3 * 1024 * 1024))
status=0
while IFS= read -r -d '' path; do
  if [ -f "$path" ] && [ "$(wc -c <"$path")" -gt "$limit" ]; then
    echo "$path: $(wc -c <"$path") bytes, expected at most $limit; keep large files out of git" >&2
    status=1
  fi
done < <(git ls-files -z)
exit $status
