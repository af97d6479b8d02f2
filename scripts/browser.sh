#!/usr/bin/env bash
# Makes sure that a real browser is there for the page's test; called by `make test`.
set -euo pipefail
find_browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
if find_browser >/dev/null && command -v chromedriver >/dev/null; then exit 0; fi
install="apt-get install -y --no-install-recommends chromium chromium-driver"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing Chromium for the page's test (once, about a minute)" >&2
  apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive $install -qq >/dev/null 2>&1 && exit 0
fi
echo "the page's test needs Chromium and its driver: sudo $install" >&2
exit 1
