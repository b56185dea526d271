#!/usr/bin/env bash
# Fetches the models' GGUF files, then runs a command if all of them are there. Everything but finding node and building
# is the `download` command of dist/main.js.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: ./download-model.sh [EXPERT…] [options] [-- COMMAND…]

Fetches the GGUF files that models/manifest.json names into models/ (resumed where a download broke off, checked
by SHA-256 where one is known), then runs COMMAND in the current folder if all of them are there. Without EXPERT: the
five experts.

  --list          show the files and what is here, fetch nothing
  --all           every file: the optional entries too, and the image projectors (mmproj), which this version does
                  not use yet
  --quant Q       this quantisation instead of the one that suits this CPU
  --dir D         folder for the files
  --manifest F    another manifest
  --base-url U    fetch from this mirror (or set GGUF_EXPERTS_MODEL_BASE_URL)
  --verify        hash files that are already here again, and replace damaged ones
  --force         fetch even what is already here

HF_TOKEN, where it is set, opens repositories that ask for a login.
Exit code: COMMAND's, or 0 everything is here, 1 something failed, 2 wrong arguments.

Examples:
  ./download-model.sh phi4_fast qwen_coder
  ./download-model.sh -- npm start
TEXT
}

fail() {
  printf 'download-model.sh: %s\n' "$1" >&2
  exit 1
}

arguments=()
while (($# > 0)) && [[ $1 != -- ]]; do
  if [[ $1 == --help || $1 == -h ]]; then
    usage
    exit 0
  fi
  arguments+=("$1")
  shift
done
(($# == 0)) || shift # what is left is COMMAND

root=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
command -v node >/dev/null || fail "node was not found; install Node 20.19 or later."

# After an update dist may be older than src; the incremental build takes a second where nothing changed.
if [[ -x $root/node_modules/.bin/tsc && -d $root/node_modules/@types/node ]]; then
  (cd -- "$root" && node_modules/.bin/tsc -p tsconfig.build.json >&2) || fail "the build failed; see above."
elif [[ ! -f $root/dist/main.js ]]; then
  fail "not built yet, and the compiler is not there: run 'npm ci' in $root first."
fi

node -- "$root/dist/main.js" download "${arguments[@]+"${arguments[@]}"}"
(($# == 0)) || exec "$@"
