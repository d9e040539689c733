#!/usr/bin/env bash
# Sends a signed request (RFC 9421, hmac-sha256) with curl and openssl, and prints the answer.
#
#   export APP_ID=demo-server KEY_ID=demo-server-1 APP_SECRET=... APP_ORIGIN=https://shop.example
#   ./sign.sh POST http://127.0.0.1:3000/auth/v2/connect '{"request_id":"1", ... }'
#
# The secret comes from the environment and is never an argument, because other users of the machine can see arguments.
# `openssl dgst -hmac` takes it as an argument, so this script builds HMAC (RFC 2104) from SHA-256.
set -euo pipefail

method=${1:?usage: sign.sh METHOD URL [BODY]} url=${2:?usage: sign.sh METHOD URL [BODY]} body=${3-}
: "${APP_ID:?}" "${KEY_ID:?}" "${APP_SECRET:?}"

[[ $url =~ ^(https?)://([][A-Za-z0-9.:-]+)(/[^?#[:space:]]*)?(\?[^#[:space:]]*)?$ ]] || {
  echo 'the URL must be absolute, without user, fragment or white space' >&2
  exit 2
}
scheme=${BASH_REMATCH[1]} authority=$(tr A-Z a-z <<<"${BASH_REMATCH[2]}")
path=${BASH_REMATCH[3]:-/} query=${BASH_REMATCH[4]:-?}
case $scheme$authority in http*:80 | https*:443) authority=${authority%:*} ;; esac # without the default port

sha256() { openssl dgst -sha256 -binary; }
hex() { od -An -v -tx1 | tr -d ' \n'; }

key=$(printf %s "$APP_SECRET" | openssl base64 -d -A | hex)
if ((${#key} > 128)); then key=$(printf %s "$APP_SECRET" | openssl base64 -d -A | sha256 | hex); fi
while ((${#key} < 128)); do key+=00; done

pad() { # prints the key with each byte XOR $1
  local at byte bytes=
  for ((at = 0; at < 128; at += 2)); do
    printf -v byte '\\x%02x' $((0x${key:at:2} ^ $1))
    bytes+=$byte
  done
  printf %b "$bytes"
}
hmac() { { pad 0x5c; { pad 0x36; cat; } | sha256; } | sha256 | openssl base64 -A; }

# Adds a component, given its name and value. curl reads headers from its configuration, because they may contain a token.
base='' list='' config=''
header() {
  local line=${1//\\/\\\\}
  config+="header = \"${line//\"/\\\"}\""$'\n'
}
cover() {
  base+="\"$1\": $2"$'\n'
  list+="${list:+ }\"$1\""
  case $1 in @*) ;; *) header "$1: $2" ;; esac
}
cover @method "$method"
cover @authority "$authority"
cover @path "$path"
cover @query "$query"
cover x-app-id "$APP_ID"
if [[ -n ${APP_ORIGIN-} ]]; then cover x-origin "$APP_ORIGIN"; fi
if [[ -n ${ACCESS_TOKEN-} ]]; then cover authorization "Bearer $ACCESS_TOKEN"; fi
if [[ -n $body ]]; then
  cover content-type application/json
  cover content-digest "sha-256=:$(printf %s "$body" | sha256 | openssl base64 -A):"
  data=(--data-raw "$body")
fi

input="($list);created=$(date +%s);keyid=\"$KEY_ID\";nonce=\"$(openssl rand -hex 16)\""
signature=$(printf '%s"@signature-params": %s' "$base" "$input" | hmac)

header "signature-input: sig1=$input"
header "signature: sig1=:$signature:"

# Without -L, because a signature is valid for one URL.
curl --silent --show-error --globoff --path-as-is --request "$method" --config <(printf %s "$config") \
  ${data[@]+"${data[@]}"} --write-out '\n%{http_code}\n' "$url"
