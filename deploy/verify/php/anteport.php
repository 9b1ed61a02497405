<?php
// Who is asking, for PHP 8: verifies the assertion that Anteport sends with each request of a member. Nothing but PHP
// with openssl. (EdDSA: sodium, which PHP brings along.) Four files: this one, anteport-keys.php, anteport-cache.php
// and anteport-signature.php.
//
//   require 'anteport.php';
//   $member = anteport_member([
//       'issuer' => 'https://members.example.org', 'audience' => 'https://members.example.org',
//       'keys' => 'https://members.example.org/.auth/jwks.json', // or the path of a file
//       'cache' => '/var/lib/portal/anteport-keys.json', // in a folder where the portal can write, and nobody else
//   ]);
//   echo 'You are ', htmlspecialchars($member['sub']);
//
// For a portal that must not be changed: the same in a file that php.ini names as auto_prepend_file.
declare(strict_types=1);
require_once __DIR__ . '/anteport-keys.php';
require_once __DIR__ . '/anteport-cache.php';
require_once __DIR__ . '/anteport-signature.php';

const ANTEPORT_LEEWAY = 30; // seconds that two clocks may differ
const ANTEPORT_LONGEST = 300; // an assertion lives for a minute: one that claims more is not ours
const ANTEPORT_LARGEST = 8192;

/** The member's claims; nobody comes further without. */
function anteport_member(array $settings): array
{
    try {
        return anteport_verify($_SERVER['HTTP_X_ANTEPORT_ASSERTION'] ?? '', $settings);
    } catch (Throwable $refused) { // Whatever it was: who cannot be verified is not let through.
        anteport_refuse($refused);
    }
}

/** Says so to who asks and why in the log, and ends the request. */
function anteport_refuse(Throwable $refused): void
{
    error_log("anteport: refused: {$refused->getMessage()}");
    $is_later = $refused instanceof AnteportUnavailable;
    http_response_code($is_later ? 503 : 401);
    header('Content-Type: text/plain; charset=utf-8');
    header('Cache-Control: no-store');
    if ($is_later) header('Retry-After: 10');
    exit($is_later ? "Please try again in a moment: who you are cannot be verified now.\n"
        : "Please sign in: this request does not say who you are.\n");
}

/** From the header (PHP's servers have joined what came doubled by a comma) to the member's claims, or an exception. */
function anteport_verify(string $value, array $settings, ?float $now = null): array
{
    $now ??= microtime(true);
    $must = fn (bool $truth, string $why) => $truth || throw new UnexpectedValueException($why);
    $parts = explode('.', $value);
    $must(strlen($value) <= ANTEPORT_LARGEST && count($parts) === 3, 'one assertion is needed');
    [$header, $claims] = [json_decode(anteport_bytes($parts[0])), json_decode(anteport_bytes($parts[1]))];
    $must($header instanceof stdClass && $claims instanceof stdClass, 'a part is no JSON object');
    // The algorithm is the setting's, whatever the token says.
    $algorithm = $settings['algorithm'] ?? 'ES256';
    $must(($header->alg ?? null) === $algorithm && !property_exists($header, 'crit'), 'another algorithm');
    $must(is_string($header->kid ?? null), 'no key id');
    $key = anteport_key($settings, $header->kid, $algorithm);
    $is_signed = anteport_signed($key, "$parts[0].$parts[1]", anteport_bytes($parts[2]));
    $must($is_signed, 'no key of Anteport signed it');
    $is_for_us = ($claims->iss ?? null) === $settings['issuer'] && ($claims->aud ?? null) === $settings['audience'];
    $must($is_for_us, 'for another portal');
    $must(is_string($claims->sub ?? null) && $claims->sub !== '', 'about nobody');
    $from = property_exists($claims, 'nbf') ? $claims->nbf : 0;
    [$expires, $issued] = [$claims->exp ?? null, $claims->iat ?? null];
    foreach ([$expires, $issued, $from] as $time) {
        $must(is_int($time) || is_float($time), 'a time is no number');
    }
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
