<?php
// The smallest portal in PHP. `php portal.php vectors FILE KEYS` judges every case; under a server it answers who is
// asking.
declare(strict_types=1);
require __DIR__ . '/../../../deploy/verify/php/anteport.php';

/** A plain header as a list. */
function plain(string $header): array
{
    return array_map('rawurldecode', explode(',', $header));
}

function vectors(string $file, string $keys): void
{
    $given = json_decode(file_get_contents($file), true);
    $results = [];
    foreach ($given['cases'] as $case) {
        $settings = ['keys' => $keys, 'algorithm' => $case['algorithm']] + $given;
        $lines = array_filter($case['headers'], fn ($line) => strcasecmp($line[0], $given['header']) === 0);
        // As PHP's servers do it.
        $value = implode(', ', array_column($lines, 1));
        try {
            $results[$case['name']] = anteport_verify($value, $settings, $given['now']);
        } catch (Throwable) {
            $results[$case['name']] = null;
        }
    }
    echo json_encode(['results' => $results, 'plain' => array_map(fn ($one) => plain($one['header']), $given['plain'])]);
}

if (PHP_SAPI === 'cli') {
    vectors($argv[2], $argv[3]);
    exit;
}
$settings = fn ($name) => getenv('ANTEPORT_' . strtoupper($name));
$member = anteport_member([
    'issuer' => $settings('issuer'), 'audience' => $settings('audience'),
    'keys' => $settings('keys'), 'cache' => $settings('cache'),
]);
header('Content-Type: application/json');
echo json_encode(['sub' => $member['sub'], 'assertion' => $_SERVER['HTTP_X_ANTEPORT_ASSERTION']]);
