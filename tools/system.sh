#!/usr/bin/env bash
# Sees to the programs that pip cannot install: Chromium, for the tests in a real browser, and promtool, Prometheus' own checker of
# alert rules and figures, and poppler, which reads PDFs.
# Usage: tools/system.sh PYTHON     (the Python of the virtual environment)
# In this order: what is here already; apt, where we may; for Chromium Playwright's own download; else one clear line and exit 1.
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

see_to_chromium() {
    if chromium_found; then
        echo "Chromium: found."
        return 0
    fi
    if apt_works; then
        echo "Chromium: installing through apt ..."
        if apt-get update -qq && apt_has_chromium &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-liberation >/dev/null; then
            echo "Chromium: installed."
            return 0
        fi
        echo "Chromium: apt could not; trying Playwright's download ..."
    fi
    if "$python" -m playwright install chromium && chromium_found; then
        echo "Chromium: downloaded by Playwright."
        return 0
    fi
    echo "Chromium is missing and could not be installed: install chromium or google-chrome by hand, then run make again." >&2
    return 1
}

# promtool comes in the package of the whole server, which nobody here wants running. What keeps it from being started is policy-rc.d,
# Debian's own way to say so; where there is one already it is left as it is. Whatever ran before runs on.
install_promtool() {
    local policy=/usr/sbin/policy-rc.d done=0 ours=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && ours=yes
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus >/dev/null; } || done=1
    if [ -n "$ours" ]; then
        rm -f "$policy"
        trap - EXIT
    fi
    # Nor is it to be started with the machine.
    if [ "$done" = 0 ] && command -v update-rc.d >/dev/null; then
        update-rc.d prometheus disable >/dev/null 2>&1 || true
    fi
    return "$done"
}

see_to_promtool() {
    if command -v promtool >/dev/null; then
        echo "promtool: found."
        return 0
    fi
    if apt_works; then
        echo "promtool: installing through apt ..."
        if install_promtool && command -v promtool >/dev/null; then
            echo "promtool: installed."
            return 0
        fi
    fi
    local how="install Prometheus"
    if [ "$(uname)" = Darwin ]; then how="brew install prometheus"; fi
    echo "promtool is missing and could not be installed: $how (it brings promtool), then run make again." >&2
    return 1
}

# Reads PDFs in the tests, with the tables for Chinese, Japanese and Korean, and fonts for other letters than Latin ones.
see_to_poppler() {
    if command -v pdftotext >/dev/null; then
        echo "poppler: found."
        return 0
    fi
    if apt_works; then
        echo "poppler: installing through apt ..."
        if apt-get update -qq &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
                poppler-utils poppler-data fonts-dejavu-core >/dev/null; then
            echo "poppler: installed."
            return 0
        fi
    fi
    local how="install poppler's tools (poppler-utils, poppler-data)"
    if [ "$(uname)" = Darwin ]; then how="brew install poppler"; fi
    echo "pdftotext is missing and could not be installed: $how, then run make again." >&2
    return 1
}

missing=0
see_to_chromium || missing=1
see_to_promtool || missing=1
see_to_poppler || missing=1
exit "$missing"
