//! The examples of RFC 9421, appendix B, through the same writer as our own signatures.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PSS_2048_8192_SHA512, UnparsedPublicKey,
    VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::base::Base;
use crate::signing_key::SigningKey;

const DATE: (&str, &str) = ("date", "Tue, 20 Apr 2021 02:07:55 GMT");
const TYPE: (&str, &str) = ("content-type", "application/json");
const AUTHORITY: (&str, &str) = ("@authority", "example.com");
const DIGEST: (&str, &str) = (
    "content-digest",
    "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
);
/// When all of them were signed.
const CREATED: i64 = 1_618_884_473;

/// Base and `Signature-Input`, of these components (a name may have parameters) and this key.
fn written(label: &str, components: &[(&str, &str)], key: &str) -> (Vec<u8>, String) {
    let parameters = covering(label, components).close().number(";created=", CREATED);
    finished(parameters.text(";keyid=", key.as_bytes()).unwrap())
}

fn covering(label: &str, components: &[(&str, &str)]) -> Base {
    let mut base = Base::new(label, 0);
    for (name, value) in components {
        let (name, parameters) = name.split_at(name.find(';').unwrap_or(name.len()));
        base.cover(&format!("\"{name}\"{parameters}"), value.as_bytes()).unwrap();
    }
    base
}

fn finished(parameters: super::base::Parameters) -> (Vec<u8>, String) {
    let (base, input) = parameters.finish();
    (base, String::from_utf8(input).unwrap())
}

fn assert_signed(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    base: &[u8],
    signature: &str,
) {
    let signature = STANDARD.decode(signature).unwrap();
    let key = UnparsedPublicKey::new(algorithm, key);
    key.verify(base, &signature).unwrap();
    let mut other = base.to_vec();
    other[0] ^= 1;
    key.verify(&other, &signature).unwrap_err();
}

/// B.1.2, as the library takes it: modulus and exponent.
fn rsa_pss() -> Vec<u8> {
    let spki = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2+QEtvpuRaV8Yq40gjUR8y2Rj\
                xa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIF\
                PNU8PPMO7OyrFAHqgDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5WUtzdpiy6\
                LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdD\
                Op9LCNCN48V2pnDOkFV6+U9nV5oyc6XI2wIDAQAB";
    STANDARD.decode(spki).unwrap()
}

/// B.1.3, as an uncompressed point.
fn ecc_p256() -> Vec<u8> {
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let x = decode("qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA");
    let y = decode("Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0");
    [&[4][..], &x, &y].concat()
}

/// B.1.4.
const ED25519_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n\
    -----END PRIVATE KEY-----\n";
const ED25519_PUBLIC: &str = "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs";

/// B.1.5.
const SHARED_SECRET: &str =
    "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";

/// B.2.1 to B.2.3 are by an algorithm that we do not sign with; what is signed is the same.
#[test]
fn env_03_b21_minimal() {
    let parameters = covering("sig-b21", &[]).close().number(";created=", CREATED);
    let parameters = parameters.text(";keyid=", b"test-key-rsa-pss").unwrap();
    let (base, input) = finished(parameters.text(";nonce=", b"b3k2pp5k7z-50gnwp.yemd").unwrap());
    let expected = "sig-b21=();created=1618884473;keyid=\"test-key-rsa-pss\"\
                    ;nonce=\"b3k2pp5k7z-50gnwp.yemd\"";
    assert_eq!(input, expected);
    let signature = "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==";
    assert_signed(&RSA_PSS_2048_8192_SHA512, &rsa_pss(), &base, signature);
}

#[test]
fn env_03_b22_selective_covered_components() {
    let components = [AUTHORITY, DIGEST, ("@query-param;name=\"Pet\"", "dog")];
    let parameters = covering("sig-b22", &components).close().number(";created=", CREATED);
    let parameters = parameters.text(";keyid=", b"test-key-rsa-pss").unwrap();
    let (base, input) = finished(parameters.text(";tag=", b"header-example").unwrap());
    let expected = "sig-b22=(\"@authority\" \"content-digest\" \"@query-param\";name=\"Pet\")\
                    ;created=1618884473;keyid=\"test-key-rsa-pss\";tag=\"header-example\"";
    assert_eq!(input, expected);
    let signature = "LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==";
    assert_signed(&RSA_PSS_2048_8192_SHA512, &rsa_pss(), &base, signature);
}

#[test]
fn env_03_b23_full_coverage() {
    let components = [
        DATE,
        ("@method", "POST"),
        ("@path", "/foo"),
        ("@query", "?param=Value&Pet=dog"),
        AUTHORITY,
        TYPE,
        DIGEST,
        ("content-length", "18"),
    ];
    let (base, input) = written("sig-b23", &components, "test-key-rsa-pss");
    let expected = "sig-b23=(\"date\" \"@method\" \"@path\" \"@query\" \"@authority\" \"content-type\" \
                    \"content-digest\" \"content-length\");created=1618884473\
                    ;keyid=\"test-key-rsa-pss\"";
    assert_eq!(input, expected);
    let signature = "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==";
    assert_signed(&RSA_PSS_2048_8192_SHA512, &rsa_pss(), &base, signature);
}

#[test]
fn env_03_b24_ecdsa_p256_sha256() {
    let digest = "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:";
    let components =
        [("@status", "200"), TYPE, ("content-digest", digest), ("content-length", "23")];
    let (base, input) = written("sig-b24", &components, "test-key-ecc-p256");
    let expected = "sig-b24=(\"@status\" \"content-type\" \"content-digest\" \"content-length\")\
                    ;created=1618884473;keyid=\"test-key-ecc-p256\"";
    assert_eq!(input, expected);
    let signature =
        "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==";
    assert_signed(&ECDSA_P256_SHA256_FIXED, &ecc_p256(), &base, signature);
}

#[test]
fn env_03_b25_hmac_sha256() {
    let (base, input) = written("sig-b25", &[DATE, AUTHORITY, TYPE], "test-shared-secret");
    let expected = "sig-b25=(\"date\" \"@authority\" \"content-type\");created=1618884473\
                    ;keyid=\"test-shared-secret\"";
    assert_eq!(input, expected);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(SHARED_SECRET).unwrap());
    let signature = STANDARD.encode(hmac::sign(&key, &base));
    assert_eq!(signature, "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=");
}

#[test]
fn env_03_b26_ed25519() {
    let components =
        [DATE, ("@method", "POST"), ("@path", "/foo"), AUTHORITY, TYPE, ("content-length", "18")];
    let (base, input) = written("sig-b26", &components, "test-key-ed25519");
    let expected = "sig-b26=(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \
                    \"content-length\");created=1618884473;keyid=\"test-key-ed25519\"";
    assert_eq!(input, expected);
    let signature =
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
    let key = SigningKey::read_all(ED25519_KEY.as_bytes()).unwrap().remove(0);
    assert_eq!(STANDARD.encode(key.sign(&base).unwrap()), signature);
    let public = URL_SAFE_NO_PAD.decode(ED25519_PUBLIC).unwrap();
    assert_signed(&ED25519, &public, &base, signature);
}

/// What proxies may do to a message and what they may not.
#[test]
fn env_03_b4_transformed_messages() {
    let signed = |method, authority, accept| {
        let components = [
            ("@method", method),
            ("@path", "/demo"),
            ("@authority", authority),
            ("accept", accept),
        ];
        written("transform", &components, "test-key-ed25519").0
    };
    let signature = STANDARD.decode(
        "ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/LXlh5QMFFQ6cpLt2m0pmj3NDA==",
    );
    let (signature, accept) = (signature.unwrap(), "application/json, */*");
    let public = URL_SAFE_NO_PAD.decode(ED25519_PUBLIC).unwrap();
    let key = UnparsedPublicKey::new(&ED25519, &public);
    key.verify(&signed("GET", "example.org", accept), &signature).unwrap();
    key.verify(&signed("POST", "example.com", accept), &signature).unwrap_err();
    key.verify(&signed("GET", "example.org", "*/*, application/json"), &signature).unwrap_err();
}
