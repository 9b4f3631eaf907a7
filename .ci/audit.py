"""Asks the advisory database about what is installed here; where it cannot be asked, says so and succeeds.

pip-audit gets an environment of its own, so that its dependencies change nothing of ours.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

INSTALL_SECONDS, ASK_SECONDS = 90, 120


def _skipped(why: object) -> int:
    print(f"audit: skipped, {why}")
    return 0


def _last_line(*texts: str) -> str:
    lines = [line for text in texts for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"


def main() -> int:
    """Audit the environment of this interpreter.

    Returns:
        1 if something installed is known to be vulnerable, else 0.
    """
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder)
        python = Path(folder) / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--group", "audit"]
        ask = [str(python), "-m", "pip_audit", "--path", sysconfig.get_path("purelib"), "--skip-editable"]
        ask += ["--format", "json", "--progress-spinner", "off", "--timeout", "10"]
        try:
            installed = subprocess.run(install, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
            if installed.returncode:
                return _skipped(f"pip-audit cannot be installed: {_last_line(installed.stdout, installed.stderr)}")
            asked = subprocess.run(ask, capture_output=True, text=True, timeout=ASK_SECONDS, check=False)
        except subprocess.TimeoutExpired as problem:
            return _skipped(f"no answer within {problem.timeout:g} s")
    try:
        packages = json.loads(asked.stdout)["dependencies"]
    except ValueError:
        return _skipped(f"the advisory database cannot be asked: {_last_line(asked.stdout, asked.stderr)}")
    vulnerable = [package for package in packages if package.get("vulns")]
    for package in vulnerable:
        for advisory in package["vulns"]:
            fixed = ", ".join(advisory["fix_versions"]) or "no release yet"
            print(f"audit: {package['name']} {package['version']}: {advisory['id']}, fixed in {fixed}")
    print(f"audit: {len(packages)} packages, {len(vulnerable)} with known vulnerabilities")
    return 1 if vulnerable else 0


if __name__ == "__main__":
    sys.exit(main())
