//! What proves to a provider that it is us who ask: what was written of each credential, and what
//! it means. Deliberately not here: how one is used, which the relying party knows.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::certificate::{AssertionAlgorithm, ClientCertificate};
use super::managed_identity::{self, ManagedIdentity, ManagedIdentityFile};
use super::written::{Cloud, KindFile};
use crate::config::context::{Context, Located, Spot};
use crate::config::file::{SecretFile, bare, secret};
use crate::config::resolve::Setting;
use crate::config::section::Section;
use crate::config::{secrets, tls, value};
use crate::gate::{Secret, Timestamp};

/// How long before its end a credential is warned about.
const NOTICE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Where the workload identity of Kubernetes says that its token is.
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
/// The largest federated token; those of Kubernetes are around 1 KiB.
pub(crate) const LARGEST_TOKEN: u64 = 16 * 1024;

/// What proves to a provider's token endpoint that it is us who ask.
#[derive(Debug, PartialEq, Eq)]
pub struct Credential {
    /// The proof.
    pub proof: Proof,
    /// When it ends, as far as that is known here.
    pub expires: Option<Timestamp>,
}

/// What kind of proof a credential is.
#[derive(Debug, PartialEq, Eq)]
pub enum Proof {
    /// A client secret.
    Secret {
        /// The secret.
        value: Secret<String>,
        /// How it is sent.
        method: SecretMethod,
    },
    /// A certificate, which signs an assertion for each request.
    Certificate(Arc<ClientCertificate>),
    /// The token of another issuer, in a file that is kept fresh by somebody else.
    Federated {
        /// The file.
        token_file: PathBuf,
    },
    /// The token of a managed identity.
    ManagedIdentity(ManagedIdentity),
}

/// How a secret is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretMethod {
    /// In the form (`client_secret_post`).
    Post,
    /// In a header (`client_secret_basic`).
    Basic,
}

impl Credential {
    /// A secret that is sent in the form and whose end nobody declared.
    #[must_use]
    pub const fn secret(value: String) -> Self {
        let proof = Proof::Secret { value: Secret::new(value), method: SecretMethod::Post };
        Self { proof, expires: None }
    }

    /// What it is, in one word of the configuration.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.proof {
            Proof::Secret { .. } => "secret",
            Proof::Certificate(_) => "certificate",
            Proof::Federated { .. } => "federated",
            Proof::ManagedIdentity(_) => "managed_identity",
        }
    }
}

/// What an operator wrote of a credential. What is `None` was left out or has been reported.
pub(super) struct CredentialFile {
    spot: Spot,
    /// Which of the keys that say what it is are there.
    written: Vec<&'static str>,
    secret: Option<SecretFile>,
    certificate: Option<CertificateFile>,
    federated: Option<FederatedFile>,
    managed_identity: Option<ManagedIdentityFile>,
    /// With the place of its key if it is there.
    method: (Option<SecretMethod>, Option<Spot>),
    expires: Option<Located<Timestamp>>,
}

struct CertificateFile {
    file: Option<Located<PathBuf>>,
    key: Option<KeyFile>,
    algorithm: Option<AssertionAlgorithm>,
}

struct KeyFile {
    spot: Spot,
    file: Option<Located<PathBuf>>,
    env: Option<Located<String>>,
    /// How many of the keys are there.
    written: usize,
}

struct FederatedFile {
    spot: Spot,
    /// Outside `None` if it was reported, inside if the key is not there.
    token_file: Option<Option<Located<PathBuf>>>,
}

impl CredentialFile {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let kinds = ["secret", "certificate", "federated", "managed_identity"];
        let method = section.value("method", |word| {
            Ok(match word {
                "basic" => SecretMethod::Basic,
                _ => SecretMethod::Post,
            })
        });
        Self {
            spot: section.spot().clone(),
            written: kinds.into_iter().filter(|kind| section.has(kind)).collect(),
            secret: section.section("secret").map(|section| secret(&section)),
            certificate: section.section("certificate").map(|section| CertificateFile {
                file: section.value("file", value::path),
                key: section.section("key").map(|section| KeyFile {
                    spot: section.spot().clone(),
                    file: section.value("file", value::path),
                    env: section.value("env", value::text),
                    written: ["file", "env"].into_iter().filter(|key| section.has(key)).count(),
                }),
                algorithm: bare(section.value("algorithm", |word| {
                    Ok(match word {
                        "RS256" => AssertionAlgorithm::Rs256,
                        _ => AssertionAlgorithm::Ps256,
                    })
                })),
            }),
            federated: section.section("federated").map(|section| FederatedFile {
                spot: section.spot().clone(),
                token_file: section.if_there("token_file", |key| section.value(key, value::path)),
            }),
            managed_identity: section.section("managed_identity").map(|section| {
                ManagedIdentityFile {
                    spot: section.spot().clone(),
                    client_id: bare(section.value("client_id", value::client_id)),
                    endpoint: section.if_there("endpoint", |key| section.value(key, value::origin)),
                }
            }),
            method: (bare(method), section.has("method").then(|| section.spot_of("method"))),
            expires: section.value("expires", value::end_of_day),
        }
    }
}

/// Resolves the list; `None` if something was reported.
pub(super) fn resolve(
    context: &Context<'_>,
    files: &[CredentialFile],
    kind: &KindFile,
    setting: &Setting<'_>,
) -> Option<Vec<Credential>> {
    let mut credentials = Some(Vec::new());
    for file in files {
        // One that cannot be used does not keep the others from being reported.
        let credential = credential(context, file, kind, setting);
        credentials = credentials.zip(credential).map(|(mut credentials, credential)| {
            credentials.push(credential);
            credentials
        });
    }
    credentials
}

fn credential(
    context: &Context<'_>,
    file: &CredentialFile,
    kind: &KindFile,
    setting: &Setting<'_>,
) -> Option<Credential> {
    let is_secret = match file.written.as_slice() {
        [only] => *only == "secret",
        [] => {
            let message = "a credential is one of `secret`, `certificate`, `federated` and \
                           `managed_identity`, such as `secret: { file: … }`";
            context.error(&file.spot, message);
            return None;
        }
        several => {
            let message = format!(
                "a credential is one thing, and here are `{}`; give each an item of its own",
                several.join("` and `")
            );
            context.error(&file.spot, message);
            return None;
        }
    };
    check_kind(context, file, kind)?;
    if let (false, Some(spot)) = (is_secret, &file.method.1) {
        context.error(spot, "`method` says how a secret is sent, and this is none");
        return None;
    }
    if let Some(expires) = &file.expires {
        let has_own_end = match file.certificate {
            Some(_) => Some("a certificate says itself when it ends; remove `expires`"),
            None if !is_secret => Some("this credential has no end that could be declared"),
            None => None,
        };
        if let Some(message) = has_own_end {
            context.error(&expires.spot, message);
            return None;
        }
        warn_of_end(context, &expires.spot, expires.value, setting.now);
    }
    let mut expires = file.expires.as_ref().map(|expires| expires.value);
    let proof = if let Some(source) = &file.secret {
        let value = secrets::client_secret(context, setting.folder, source)?;
        Proof::Secret { value, method: file.method.0? }
    } else if let Some(certificate) = &file.certificate {
        let loaded = self::certificate(context, certificate, setting)?;
        expires = Some(loaded.ends());
        Proof::Certificate(Arc::new(loaded))
    } else if let Some(federated) = &file.federated {
        Proof::Federated { token_file: token_file(context, federated, setting)? }
    } else {
        let cloud = match kind {
            KindFile::EntraId { host, .. } | KindFile::ExternalId { host, .. } => host.cloud?,
            KindFile::AzureAdB2c { .. } | KindFile::Oidc { .. } => Cloud::Public,
        };
        let identity = file.managed_identity.as_ref()?;
        Proof::ManagedIdentity(managed_identity::resolve(context, identity, cloud)?)
    };
    Some(Credential { proof, expires })
}

/// What each kind of provider takes (azure.md, section 3.2).
fn check_kind(context: &Context<'_>, file: &CredentialFile, kind: &KindFile) -> Option<()> {
    let is = |name: &str| file.written.contains(&name);
    let message = match kind {
        KindFile::AzureAdB2c { .. } if !is("secret") => {
            "Azure AD B2C takes client secrets and nothing else (AADB2C99027)"
        }
        KindFile::Oidc { .. } if is("managed_identity") => {
            "managed identities are for providers of kind `entra_id` and `external_id`"
        }
        KindFile::EntraId { .. }
        | KindFile::AzureAdB2c { .. }
        | KindFile::ExternalId { .. }
        | KindFile::Oidc { .. } => return Some(()),
    };
    context.error(&file.spot, message);
    None
}

fn certificate(
    context: &Context<'_>,
    file: &CertificateFile,
    setting: &Setting<'_>,
) -> Option<ClientCertificate> {
    let written = file.file.as_ref();
    let chain = written.and_then(|file| tls::certificates(context, setting.folder, file));
    let key = file.key.as_ref().and_then(|key| {
        match (&key.file, &key.env, key.written) {
            (Some(file), _, 1) => {
                let loaded = tls::private_key(context, setting.folder, file)?;
                Some((loaded, file.spot.clone()))
            }
            (_, Some(name), 1) => {
                let pem = secrets::from_environment(context, name)?;
                Some((tls::private_key_of(context, name, &pem)?, name.spot.clone()))
            }
            (_, _, 1) => None, // Reported where it stands.
            _ => {
                context.error(&key.spot, "a key comes from one of `file` and `env`");
                None
            }
        }
    });
    let (written, chain, (key, spot)) = (written?, chain?, key?);
    match ClientCertificate::new(chain.first()?, &key, file.algorithm?) {
        Ok(certificate) => {
            warn_of_end(context, &written.spot, certificate.ends(), setting.now);
            Some(certificate)
        }
        Err(error) => {
            context.error(&spot, error.to_string());
            None
        }
    }
}

/// The path of a token, which somebody has put there already: who starts without it never gets it.
fn token_file(
    context: &Context<'_>,
    file: &FederatedFile,
    setting: &Setting<'_>,
) -> Option<PathBuf> {
    let (path, spot) = match file.token_file.as_ref()? {
        Some(written) => (setting.folder.join(&written.value), &written.spot),
        None => match (context.environment)(TOKEN_FILE).filter(|path| !path.is_empty()) {
            Some(path) => (PathBuf::from(path), &file.spot),
            None => {
                let message = format!(
                    "`token_file` is missing, and the environment has no `{TOKEN_FILE}`: in \
                     Kubernetes the label `azure.workload.identity/use` gives a pod both"
                );
                context.error(&file.spot, message);
                return None;
            }
        },
    };
    if let Err(error) = secrets::read_bounded(&path, LARGEST_TOKEN) {
        let message = format!("cannot read the federated token: {}", secrets::reason(&error));
        context.error(spot, message);
        return None;
    }
    Some(path)
}

fn warn_of_end(context: &Context<'_>, spot: &Spot, end: Timestamp, now: Timestamp) {
    if end <= now {
        context.warn(spot, "this credential has expired; make a new one in Azure and put it first");
        return;
    }
    let left = end.since(now);
    if left <= NOTICE {
        let days = left.as_secs() / (24 * 60 * 60);
        let when = match days {
            0 => "within a day".to_owned(),
            1 => "in 1 day".to_owned(),
            days => format!("in {days} days"),
        };
        let message =
            format!("this credential expires {when}; make a new one in Azure and put it first");
        context.warn(spot, message);
    }
}
