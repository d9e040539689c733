<?php
// Sends a signed request (RFC 9421, hmac-sha256) using only PHP itself, and prints the answer.
//
//   export APP_ID=demo-server KEY_ID=demo-server-1 APP_SECRET=... APP_ORIGIN=https://shop.example
//   php sign.php POST http://127.0.0.1:3000/auth/v2/connect '{"request_id":"1", ... }'

declare(strict_types=1);

/** Returns the given headers, whose names must be in lower case, with the digest and the signature. */
function signedHeaders(string $method, string $url, array $headers, string $body): array
{
    $parts = parse_url($url);
    $default = ['http' => 80, 'https' => 443][$parts['scheme']];
    $port = $parts['port'] ?? $default;
    if ($body !== '') {
        $headers['content-digest'] = 'sha-256=:' . base64_encode(hash('sha256', $body, true)) . ':';
    }
    $covered = [
        '@method' => $method,
        '@authority' => strtolower($parts['host']) . ($port === $default ? '' : ":$port"),
        '@path' => $parts['path'] ?? '/',
        '@query' => '?' . ($parts['query'] ?? ''),
    ] + $headers;

    $names = '"' . implode('" "', array_keys($covered)) . '"';
    $params = sprintf('(%s);created=%d;keyid="%s";nonce="%s"', $names, time(), getenv('KEY_ID'), bin2hex(random_bytes(16)));
    $base = '';
    foreach ($covered as $name => $value) {
        $base .= "\"$name\": $value\n";
    }
    $base .= "\"@signature-params\": $params";

    $secret = base64_decode(getenv('APP_SECRET'), true);
    $signature = base64_encode(hash_hmac('sha256', $base, $secret, true));
    return $headers + ['signature-input' => "sig1=$params", 'signature' => "sig1=:$signature:"];
}

function stop(string $why): never
{
    fwrite(STDERR, "$why\n");
    exit(1);
}

count($argv) === 3 || count($argv) === 4 || stop('usage: sign.php METHOD URL [BODY]');
foreach (['APP_ID', 'KEY_ID', 'APP_SECRET'] as $name) {
    getenv($name) || stop("$name is not set");
}
[, $method, $url] = $argv;
$body = $argv[3] ?? '';
$headers = ['x-app-id' => getenv('APP_ID')];
if (getenv('APP_ORIGIN')) {
    $headers['x-origin'] = getenv('APP_ORIGIN');
}
if (getenv('ACCESS_TOKEN')) {
    $headers['authorization'] = 'Bearer ' . getenv('ACCESS_TOKEN');
}
if ($body !== '') {
    $headers['content-type'] = 'application/json';
}

$lines = [];
foreach (signedHeaders($method, $url, $headers, $body) as $name => $value) {
    $lines[] = "$name: $value";
}
$context = stream_context_create(['http' => [
    'method' => $method,
    'header' => $lines,
    'content' => $body,
    'protocol_version' => 1.1,
    'follow_location' => 0, // a signature is valid for one URL
    'ignore_errors' => true, // also print the body of a refusal
    'timeout' => 10,
]]);
echo file_get_contents($url, false, $context), "\n", explode(' ', $http_response_header[0])[1], "\n";
