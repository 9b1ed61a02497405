<?php
// Whether a key of Anteport has signed, for anteport.php beside it.
declare(strict_types=1);

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
