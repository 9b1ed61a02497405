<?php
// Who is asking, for PHP 8: verifies the assertion that Anteport sends with each request of a member. Nothing but PHP
// with openssl. (EdDSA: sodium, which PHP brings along.)
//
//   require 'anteport.php';
//   $member = anteport_member([
//       'issuer' => 'https://members.example.org', 'audience' => 'https://members.example.org',
//       'keys' => 'http://127.0.0.1:8080/.auth/jwks.json',      // or the path of a file
//       'cache' => '/var/lib/portal/anteport-keys.json',        // where nobody but the portal can write
//   ]);
//   echo 'You are ', htmlspecialchars($member['sub']);
//
// For a portal that must not be changed: the same in a file that php.ini names as auto_prepend_file.
declare(strict_types=1);

const ANTEPORT_LEEWAY = 30; // seconds that two clocks may differ
const ANTEPORT_LONGEST = 300; // an assertion lives for a minute: one that claims more is not ours
const ANTEPORT_LARGEST = 8192;

/** The member's claims; nobody comes further without. */
function anteport_member(array $settings): array
{
    try {
        return anteport_verify($_SERVER['HTTP_X_ANTEPORT_ASSERTION'] ?? '', $settings);
    } catch (Throwable $refused) { // Whatever it was: who cannot be verified is not let through.
        error_log("anteport: refused: {$refused->getMessage()}");
        http_response_code(401);
        header('Content-Type: text/plain; charset=utf-8');
        header('Cache-Control: no-store');
        exit("Please sign in: this request does not say who you are.\n");
    }
}

/** From the header (PHP's servers have joined what came doubled by a comma) to the member's claims, or an exception. */
function anteport_verify(string $value, array $settings, ?float $now = null): array
{
    $now ??= microtime(true);
    $must = fn (bool $truth, string $why) => $truth || throw new UnexpectedValueException($why);
    $form = '/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/D';
    $must(strlen($value) <= ANTEPORT_LARGEST && preg_match($form, $value) === 1, 'one assertion is needed');
    $parts = explode('.', $value);
    [$header, $claims] = [json_decode(anteport_bytes($parts[0])), json_decode(anteport_bytes($parts[1]))];
    $must($header instanceof stdClass && $claims instanceof stdClass, 'a part is no JSON object');
    // The algorithm is the setting's, whatever the token says.
    $algorithm = $settings['algorithm'] ?? 'ES256';
    $must(($header->alg ?? null) === $algorithm && !property_exists($header, 'crit'), 'another algorithm');
    $must(is_string($header->kid ?? null), 'no key id');
    $key = anteport_key($settings, $header->kid, $algorithm);
    $signature = anteport_bytes($parts[2]);
    $must(anteport_signed($algorithm, $key, "$parts[0].$parts[1]", $signature), 'no key of Anteport signed it');
    $is_for_us = ($claims->iss ?? null) === $settings['issuer'] && ($claims->aud ?? null) === $settings['audience'];
    $must($is_for_us, 'for another portal');
    $must(is_string($claims->sub ?? null) && $claims->sub !== '', 'about nobody');
    [$expires, $issued, $from] = [$claims->exp ?? null, $claims->iat ?? null, $claims->nbf ?? 0];
    foreach ([$expires, $issued, $from] as $time) $must(is_int($time) || is_float($time), 'a time is no number');
    $must($now - ANTEPORT_LEEWAY < $expires && $expires <= $now + ANTEPORT_LONGEST, 'expired');
    $must($issued <= $now + ANTEPORT_LEEWAY && $from <= $now + ANTEPORT_LEEWAY, 'from the future');
    return json_decode(anteport_bytes($parts[1]), true);
}

/** Strict base64url: no padding, no white space, no bits left over. */
function anteport_bytes(string $part): string
{
    $bytes = base64_decode(strtr($part, '-_', '+/'), true);
    $is_exact = $bytes !== false && rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=') === $part;
    return $is_exact ? $bytes : throw new UnexpectedValueException('a part is not base64url');
}

function anteport_signed(string $algorithm, array $key, string $text, string $signature): bool
{
    if ($algorithm === 'HS256') return hash_equals(hash_hmac('sha256', $text, anteport_bytes($key['k']), true), $signature);
    if ($algorithm === 'EdDSA') return sodium_crypto_sign_verify_detached($signature, $text, anteport_bytes($key['x']));
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

/** The key set of a URL is kept for five minutes; an unknown key id asks again, at most every ten seconds. */
function anteport_key(array $settings, string $kid, string $algorithm): array
{
    $kinds = ['ES256' => ['EC', 'P-256'], 'EdDSA' => ['OKP', 'Ed25519'], 'HS256' => ['oct', null]];
    $wanted = [$kid, $algorithm, ...$kinds[$algorithm] ?? throw new DomainException("$algorithm is not known here")];
    $is_it = fn ($key) => [$key['kid'] ?? 0, $key['alg'] ?? 0, $key['kty'] ?? 0, $key['crv'] ?? null] === $wanted;
    $find = fn (array $keys) => array_values(array_filter($keys, fn ($key) => is_array($key) && $is_it($key)))[0] ?? null;
    $read = function (string $source): array { // What cannot be read is empty: without keys everybody is refused.
        $patience = stream_context_create(['http' => ['timeout' => 5, 'follow_location' => 0]]);
        $keys = json_decode((string) @file_get_contents($source, false, $patience), true)['keys'] ?? null;
        return is_array($keys) ? $keys : [];
    };
    if (!preg_match('/^https?:/', $settings['keys'])) {
        return $find($read($settings['keys'])) ?? throw new UnexpectedValueException('no such key');
    }
    $cache = fopen($settings['cache'], 'c+');
    flock($cache, LOCK_EX); // Others wait, so that one asks for all.
    $kept = json_decode(stream_get_contents($cache), true) ?? ['asked' => 0, 'keys' => []];
    if (time() - $kept['asked'] > ($find($kept['keys']) ? 300 : 10)) {
        $kept = ['asked' => time(), 'keys' => $read($settings['keys'])];
        ftruncate($cache, 0);
        rewind($cache);
        fwrite($cache, json_encode($kept));
    }
    fclose($cache);
    return $find($kept['keys']) ?? throw new UnexpectedValueException('no such key');
}
