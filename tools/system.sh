#!/usr/bin/env bash
# Sees to the programs that pip cannot install: now Chromium, for the tests in a real browser.
# Usage: tools/system.sh PYTHON     (the Python of the virtual environment)
# In this order: what is here already; apt, where we may; Playwright's own download; else one clear line and exit 1.
set -euo pipefail

python=${1:?usage: tools/system.sh PYTHON}

chromium_found() {
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$name" >/dev/null && return 0
    done
    [ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ] && return 0
    "$python" - <<'PY'
import sys
from pathlib import Path
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    sys.exit(not Path(playwright.chromium.executable_path).exists())
PY
}

apt_works() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && grep -qiE '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release
}

# Ubuntu's package only points at a snap, which does not start in containers; it counts when it is there already.
apt_has_chromium() {
    # Read whole before it is searched: grep -q would close the pipe early, and pipefail would call that a failure.
    local policy
    policy=$(apt-cache policy chromium)
    grep -q 'Candidate: [0-9]' <<<"$policy" && ! grep -q 'Candidate: .*snap' <<<"$policy"
}

if chromium_found; then
    echo "Chromium: found."
    exit 0
fi
if apt_works; then
    echo "Chromium: installing through apt ..."
    if apt-get update -qq && apt_has_chromium &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-liberation >/dev/null; then
        echo "Chromium: installed."
        exit 0
    fi
    echo "Chromium: apt could not; trying Playwright's download ..."
fi
if "$python" -m playwright install chromium && chromium_found; then
    echo "Chromium: downloaded by Playwright."
    exit 0
fi
echo "Chromium is missing and could not be installed: install chromium or google-chrome by hand, then run make again." >&2
exit 1
