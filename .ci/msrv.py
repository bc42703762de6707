"""Reads `cargo metadata` from stdin: every crate that floe builds with must run on floe's own `rust-version`.

Only one toolchain is at hand, so the compiler of that version is not run: clippy's `incompatible_msrv` watches our
own code (clippy.toml) and this watches the rest.
"""

import json
import sys


def version(text):
    return tuple(int(part) for part in (text.split(".") + ["0", "0"])[:3])


def shipped(metadata):
    """The ids of the crates that a user of floe builds: no dev-dependencies."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    seen, queue = set(), [metadata["resolve"]["root"]]
    while queue:
        node = queue.pop()
        if node in seen:
            continue
        seen.add(node)
        for dependency in nodes[node]["deps"]:
            if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"]):
                queue.append(dependency["pkg"])
    return seen


metadata = json.load(sys.stdin)
packages = {package["id"]: package for package in metadata["packages"]}
ours = packages[metadata["resolve"]["root"]]["rust_version"]
too_new = []
declared = 0
for package in map(packages.get, shipped(metadata)):
    if package["rust_version"] is None:
        continue
    declared += 1
    if version(package["rust_version"]) > version(ours):
        too_new.append(f"{package['name']} {package['version']} needs Rust {package['rust_version']}")
with open("clippy.toml") as clippy:
    if f'msrv = "{ours}"' not in clippy.read():
        too_new.append(f"clippy.toml does not say msrv = \"{ours}\"")
if too_new:
    sys.exit("rust-version " + ours + ":\n  " + "\n  ".join(sorted(too_new)))
print(f"rust-version {ours}: {declared} crates declare theirs and none is newer")
