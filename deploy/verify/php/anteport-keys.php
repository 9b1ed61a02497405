<?php
// The keys of Anteport, for anteport.php beside it: fetched and kept.
declare(strict_types=1);

const ANTEPORT_FRESH = 300; // seconds for which nobody asks again
const ANTEPORT_PAUSE = 10; // between two questions, whatever is wanted
const ANTEPORT_LAST = 1200; // after these, what could not be renewed counts no more
// Whoever can change the keys on their way is everybody: they come over TLS, from this machine, or out of a file.
const ANTEPORT_SAFE = '~^(https://|http://(127\.0\.0\.1|\[::1\]|localhost)(:\d+)?/|file:///|(?![a-z][a-z\d+.-]+:))~i';

/** There are no keys to verify with. It says nothing about who asks, who may come again. */
final class AnteportUnavailable extends RuntimeException
{
}

/** The key of that id. Who has to wait for the answer is who asks, and who has no key without it. */
function anteport_key(array $settings, string $kid, string $algorithm): array
{
    $kinds = ['ES256' => ['EC', 'P-256'], 'EdDSA' => ['OKP', 'Ed25519'], 'HS256' => ['oct', null]];
    $wanted = [$kid, $algorithm, ...$kinds[$algorithm] ?? throw new DomainException("$algorithm is not known here")];
    $is_safe = preg_match(ANTEPORT_SAFE, $settings['keys']);
    if (!$is_safe) throw new AnteportUnavailable('keys come over https, from this machine or out of a file alone');
    if (preg_match('/^https?:/i', $settings['keys'])) {
        $kept = anteport_kept($settings['cache']);
        if (anteport_is_due($kept, $wanted) || !anteport_find_key($kept['keys'], $wanted)) {
            $kept = anteport_ask($settings, $wanted);
        }
    } else {
        $keys = anteport_read_keys($settings['keys']) ?? throw new AnteportUnavailable('the keys cannot be had');
        $kept = ['keys' => $keys, 'asked' => 0, 'got' => 0];
    }
    $key = anteport_find_key($kept['keys'], $wanted);
    if ($key === null && $kept['got'] < $kept['asked']) throw new AnteportUnavailable('the keys cannot be had');
    return $key ?? throw new UnexpectedValueException('no such key');
}

function anteport_is_due(array $kept, array $wanted): bool
{
    $is_fresh = anteport_find_key($kept['keys'], $wanted) && abs(time() - $kept['got']) <= ANTEPORT_FRESH;
    return !$is_fresh && abs(time() - $kept['asked']) > ANTEPORT_PAUSE;
}

function anteport_ask(array $settings, array $wanted): array
{
    $cache = $settings['cache'];
    $door = @fopen("$cache.lock", 'c');
    if ($door) flock($door, LOCK_EX); // Others wait, so that one asks for all.
    $kept = anteport_kept($cache);
    if (!anteport_is_due($kept, $wanted)) return $kept;
    $kept['asked'] = time();
    // Who has a key goes on with it meanwhile.
    $is_kept = $door && anteport_keep($cache, $kept);
    if (!$is_kept) {
        error_log("anteport: the cache cannot be written: $cache");
        $door = null; // What nobody can keep, nobody waits for.
        if (anteport_find_key($kept['keys'], $wanted)) return $kept;
    }
    // What cannot be read changes nothing yet: one bad answer turns nobody away.
    $keys = anteport_read_keys($settings['keys']);
    if (!$keys) return $kept;
    $kept = ['keys' => $keys, 'got' => time()] + $kept;
    if ($is_kept && !anteport_keep($cache, $kept)) @unlink($cache); // Without them, it would only say not to ask.
    return $kept;
}

function anteport_find_key(array $keys, array $wanted): ?array
{
    foreach ($keys as $key) {
        $is = [$key['kid'] ?? null, $key['alg'] ?? null, $key['kty'] ?? null, $key['crv'] ?? null];
        if ($is === $wanted) return $key;
    }
    return null;
}
