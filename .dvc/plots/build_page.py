"""Build page.html from page.in.html and the libraries that DVC's own page loads from a CDN.

Needs npm and a network; run it from anywhere: `python .dvc/plots/build_page.py`.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
# Name, version and SHA-256 of the script as it stands in the page. The versions are those that
# dvc_render/vega.py names: another version may refuse what DVC writes.
LIBRARIES = (
    ("vega", "5.20.2", "5f0ec89917912f9884ba428b7660407b8a1c01cc6b6cd6b7b0e17176213ff45b"),
    ("vega-lite", "5.2.0", "2453a1233877f1228dbd3293f6f89816a08187a28328541ddf064d5beafcae35"),
    ("vega-embed", "6.18.2", "9df7462e7bb85541b6138e1d01d97288a2b6f4f12efa15cecc2aa8f23b1a3274"),
)


def fetch(name: str, version: str) -> tuple[str, str]:
    """Download a package with `npm pack` and return its minified script and its licence."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["npm", "pack", "--silent", f"{name}@{version}"],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        with tarfile.open(Path(folder) / f"{name}-{version}.tgz") as package:
            script, licence = (
                package.extractfile(f"package/{member}").read().decode()
                for member in (f"build/{name}.min.js", "LICENSE")
            )
    # The map is not part of the page, and a browser's developer tools would go looking for it.
    return re.sub(r"\n//# sourceMappingURL=\S+\s*$", "", script), licence


def main() -> None:
    """Fetch, check and inline the libraries, and write page.html."""
    page = (FOLDER / "page.in.html").read_text(encoding="utf-8")
    for name, version, digest in LIBRARIES:
        script, licence = fetch(name, version)
        found = hashlib.sha256(script.encode()).hexdigest()
        if found != digest:
            raise SystemExit(f"{name} {version}: expected SHA-256 {digest}, found {found}")
        page = page.replace(f"{{{name}}}", f"<script>{script}</script>")
    # The three licences differ in the years alone, which page.in.html names.
    page = page.replace("{licence}", licence[licence.index("Redistribution") :].rstrip())
    (FOLDER / "page.html").write_bytes(page.encode())


if __name__ == "__main__":
    main()
