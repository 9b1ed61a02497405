<?php
// The keys of Anteport, for anteport.php beside it: fetched and kept, and whether one of them has signed.
declare(strict_types=1);

/** The key set of a URL is kept for five minutes; an unknown key id asks again, at most every ten seconds. */
function anteport_key(array $settings, string $kid, string $algorithm): array
{
    $kinds = ['ES256' => ['EC', 'P-256'], 'EdDSA' => ['OKP', 'Ed25519'], 'HS256' => ['oct', null]];
    $wanted = [$kid, $algorithm, ...$kinds[$algorithm] ?? throw new DomainException("$algorithm is not known here")];
    if (!preg_match('/^https?:/', $settings['keys'])) {
        $found = anteport_find_key(anteport_read_keys($settings['keys']), $wanted);
        return $found ?? throw new UnexpectedValueException('no such key');
    }
    $cache = fopen($settings['cache'], 'c+');
    flock($cache, LOCK_EX); // Others wait, so that one asks for all.
    $kept = json_decode(stream_get_contents($cache), true) ?? ['asked' => 0, 'keys' => []];
    if (abs(time() - $kept['asked']) > (anteport_find_key($kept['keys'], $wanted) ? 300 : 10)) {
        $kept = ['asked' => time(), 'keys' => anteport_read_keys($settings['keys'])];
        ftruncate($cache, 0);
        rewind($cache);
        fwrite($cache, json_encode($kept));
    }
    fclose($cache);
    return anteport_find_key($kept['keys'], $wanted) ?? throw new UnexpectedValueException('no such key');
}

/** What cannot be read is empty: without keys everybody is refused. */
function anteport_read_keys(string $source): array
{
    $patience = stream_context_create(['http' => ['timeout' => 5, 'follow_location' => 0]]);
    $keys = json_decode((string) @file_get_contents($source, false, $patience), true)['keys'] ?? null;
    return is_array($keys) ? $keys : [];
}

function anteport_find_key(array $keys, array $wanted): ?array
{
    foreach ($keys as $key) {
        $is = [$key['kid'] ?? null, $key['alg'] ?? null, $key['kty'] ?? null, $key['crv'] ?? null];
        if ($is === $wanted) return $key;
    }
    return null;
}

function anteport_signed(array $key, string $text, string $signature): bool
{
    if ($key['alg'] === 'HS256') {
        return hash_equals(hash_hmac('sha256', $text, anteport_bytes($key['k']), true), $signature);
    }
    if ($key['alg'] === 'EdDSA') {
        return sodium_crypto_sign_verify_detached($signature, $text, anteport_bytes($key['x']));
    }
    // JWS has r and s side by side, openssl wants them in DER; and a public key as in RFC 5480.
    $integer = function (string $half): string {
        $half = ltrim($half, "\0");
        if ($half === '' || ord($half[0]) > 127) $half = "\0$half";
        return "\x02" . chr(strlen($half)) . $half;
    };
    $halves = implode(array_map($integer, str_split($signature, 32)));
    $point = anteport_bytes($key['x']) . anteport_bytes($key['y']);
    $der = hex2bin('3059301306072a8648ce3d020106082a8648ce3d03010703420004') . $point;
    $pem = "-----BEGIN PUBLIC KEY-----\n" . chunk_split(base64_encode($der), 64) . "-----END PUBLIC KEY-----\n";
    return strlen($signature) === 64 && strlen($point) === 64
        && openssl_verify($text, "\x30" . chr(strlen($halves)) . $halves, $pem, OPENSSL_ALGO_SHA256) === 1;
}
