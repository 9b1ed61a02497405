<?php
// Where the keys of Anteport are kept between two requests, and where they come from, for anteport-keys.php beside it.
declare(strict_types=1);

/** What the cache says. What is too old, and what is none of it, counts as nothing. */
function anteport_kept(string $cache): array
{
    $kept = json_decode((string) @file_get_contents($cache), true);
    $kept = ['keys' => $kept['keys'] ?? [], 'asked' => $kept['asked'] ?? 0, 'got' => $kept['got'] ?? 0];
    return abs(time() - $kept['got']) < ANTEPORT_LAST ? $kept : ['keys' => []] + $kept;
}

/** All of it or nothing, also on a full disk; whoever reads meanwhile has the old. One at a time does so. */
function anteport_keep(string $cache, array $kept): bool
{
    return @file_put_contents("$cache.new", json_encode($kept)) && @rename("$cache.new", $cache);
}

/**
 * The keys of a URL or a file, or null. PHP's streams ask no proxy of the environment, and follow no redirect here; and
 * a cache on the way is asked for what is so now.
 */
function anteport_read_keys(string $source): ?array
{
    $way = ['timeout' => 5, 'follow_location' => 0, 'header' => 'Cache-Control: no-cache'];
    $text = @file_get_contents($source, false, stream_context_create(['http' => $way]));
    $keys = json_decode((string) $text, true)['keys'] ?? null;
    if (is_array($keys) && array_filter($keys, fn ($key) => isset($key['kid'], $key['alg']))) return $keys;
    error_log("anteport: no keys from $source");
    return null;
}
