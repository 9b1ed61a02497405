//! Certificates, keys and tokens of other issuers, made for one test.

use std::sync::LazyLock;

use anteport::gate::Timestamp;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::world::folder::Folder;

impl Folder {
    /// Writes a file that nobody else can read; its path.
    pub fn file(&self, name: &str, content: &str) -> String {
        self.write(name, content).display().to_string()
    }
}

/// A self-signed certificate with its RSA key.
pub struct Certificate {
    pub der: Vec<u8>,
    pub pem: String,
    pub key: String,
}

/// One that ends on the first of a month.
pub fn certificate(year: i32, month: u8) -> Certificate {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.not_after = rcgen::date_time_ymd(year, month, 1);
    let made = parameters.self_signed(&key).unwrap();
    Certificate { der: made.der().to_vec(), pem: made.pem(), key: key.serialize_pem() }
}

/// The key of a cluster's issuer.
pub static CLUSTER: LazyLock<KeyPair> =
    LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());

pub const CLUSTER_ISSUER: &str = "https://oidc.cluster.example/abc/";
pub const SERVICE_ACCOUNT: &str = "system:serviceaccount:portal:proxy";
pub const EXCHANGE: &str = "api://AzureADTokenExchange";

pub fn cluster_key() -> Vec<u8> {
    CLUSTER.public_key().as_ref().to_vec()
}

/// A token of the cluster's, as the kubelet writes it.
pub fn cluster_token(now: Timestamp) -> String {
    let now = now.unix_seconds();
    signed(&json!({
        "iss": CLUSTER_ISSUER, "sub": SERVICE_ACCOUNT, "aud": [EXCHANGE],
        "iat": now, "nbf": now, "exp": now + 3600,
    }))
}

/// Whatever these claims are, signed by the cluster.
pub fn signed(claims: &Value) -> String {
    let header = json!({ "alg": "RS256", "kid": "cluster" });
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let input = format!("{}.{}", encoded(&header), encoded(claims));
    let mut signature = vec![0; CLUSTER.public_modulus_len()];
    CLUSTER
        .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature)
        .unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}
