#!/usr/bin/env bash
# Which lines a fuzz target reaches: `fuzz/coverage.sh [TARGET [SECONDS]]`, from anywhere; agent_ops and 60 without.
# It fuzzes from the committed corpus, then replays what is there now, and prints the line coverage by folder. What is
# found stays in a scratch corpus. SECONDS=0 measures the committed corpus alone. It needs cargo-fuzz and the rustup
# component llvm-tools. HTML: `SHOW=directory fuzz/coverage.sh ...`.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:-agent_ops} seconds=${2:-60}
export RUSTC_BOOTSTRAP=1
host=$(rustc -vV | sed -n 's/^host: //p')
tools=$(rustc --print sysroot)/lib/rustlib/$host/bin
[ -x "$tools/llvm-cov" ] || { echo "rustup component add llvm-tools" >&2; exit 1; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cp -r "fuzz/corpus/$target" "$scratch/corpus"
if [ "$seconds" -gt 0 ]; then
    cargo fuzz build "$target"
    cargo fuzz run "$target" "$scratch/corpus" -- -max_total_time="$seconds" -print_final_stats=1 2>&1 |
        grep -E 'executed_units|^Done|panicked|ERROR' || true
fi
cargo fuzz coverage "$target" "$scratch/corpus" >"$scratch/log" 2>&1 || { tail -n 30 "$scratch/log"; exit 1; }
program=$(find target fuzz/target -path "*/coverage/*/release/$target" -type f 2>/dev/null | head -n 1)
profile=fuzz/coverage/$target/coverage.profdata
if [ -n "${SHOW:-}" ]; then
    "$tools/llvm-cov" show "$program" -instr-profile="$profile" -format=html -output-dir="$SHOW" src
fi
# Tests are not built here, so every line that is counted is a line of the library.
"$tools/llvm-cov" export "$program" -instr-profile="$profile" -summary-only src | python3 -c '
import collections, json, os, sys
folders, files = collections.defaultdict(lambda: [0, 0]), []
for entry in json.load(sys.stdin)["data"][0]["files"]:
    name = os.path.relpath(entry["filename"])
    lines = entry["summary"]["lines"]
    files.append((name, lines["covered"], lines["count"]))
    folder = folders[os.path.dirname(name)]
    folder[0] += lines["covered"]
    folder[1] += lines["count"]
for name, covered, count in sorted(files) + [("", 0, 1)] + [(name + "/", *lines) for name, lines in sorted(folders.items())]:
    print(f"{100 * covered / count:6.1f} %  {covered:5} / {count:5}  {name}" if name else "")
'
