//! `verify-header`: what a captured assertion says, and whether the portal of a configuration would
//! have to believe it, question by question in the order in which a verifier asks. It connects to
//! nobody. The assertion comes in a file or on standard input, never as an argument: while it is
//! valid it is a credential (CFG-04).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

use super::{FAILED, FOUND_ERRORS, complain, report, say};
use crate::clock::Clock;
use crate::config::{self, Assertion, Config, Portal, SignedBy, read_at_most};
use crate::gate::Timestamp;
use crate::gate::identity::ASSERTION;
use crate::identity::secret_jwk;
use crate::telemetry::causes;

/// More bytes than a request's head has, or a set of keys.
const LARGEST: u64 = 64 * 1024;
/// What a verifier allows for clocks that differ, in seconds. This and the next two are those of
/// every verifier in `deploy/verify`.
const LEEWAY: f64 = 30.0;
/// An assertion lives for a minute: one that claims more is not ours.
const LONGEST_LIFE: f64 = 300.0;
/// More bytes than an assertion has.
const LONGEST: usize = 8192;

/// What is to be verified.
#[derive(Debug, clap::Args)]
pub(super) struct Captured {
    /// The file with the assertion, or with the lines of a request's head that has it; `-` is
    /// standard input [default: standard input]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Whatever else stands there, which would be quoted in an error otherwise (LOG-01)
    #[arg(hide = true, num_args = 0..)]
    more: Vec<std::ffi::OsString>,
    /// The published keys, as `/.auth/jwks.json` has them [default: the files of `signing.keys`]
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// The portal it is for, by its public URL, where there are several
    #[arg(long, value_name = "URL")]
    portal: Option<String>,
    /// The moment of which it is asked, such as 2027-01-15T08:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

/// Why nothing can be said of it.
#[derive(Debug, thiserror::Error)]
enum VerifyError {
    #[error("cannot read {name}")]
    Read {
        name: String,
        #[source]
        cause: io::Error,
    },
    #[error(
        "a file is wanted, or `-` for standard input, and this looks like the assertion itself: it is \
         a credential, and whoever is on this machine can see what stands on a command line"
    )]
    Argument,
    #[error("there is no assertion in it: write it alone, or as `X-Anteport-Assertion: …`")]
    Nothing,
    #[error("the header is there twice, and a verifier has to refuse both")]
    Twice,
    #[error("`--at` is a moment such as 2027-01-15T08:00:00Z")]
    At,
    #[error("no portal of the configuration is {0}")]
    Portal(String),
    #[error("name the portal by `--portal`, because there are several: {0}")]
    Portals(String),
    #[error("{0} sends no assertion: it has `assertion: none`")]
    Off(String),
    #[error("{0} is not a set of keys as `/.auth/jwks.json` has it")]
    Jwks(String),
}

/// One question, and how it was answered.
struct Answer {
    held: bool,
    question: &'static str,
    finding: String,
}

/// Explains an assertion by the configuration at `path`.
#[must_use]
pub(super) fn run(path: &Path, captured: &Captured) -> ExitCode {
    let now = Clock::system().now();
    let config = match config::load(path, now) {
        Ok(loaded) => loaded.config,
        Err(problems) => {
            report(&problems);
            return ExitCode::from(FOUND_ERRORS);
        }
    };
    match explained(&config, captured, now) {
        Ok((text, true)) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Ok((text, false)) => {
            say(&text);
            ExitCode::from(FAILED)
        }
        Err(error) => {
            complain(&format!("error: {}", causes(&error)));
            ExitCode::from(FAILED)
        }
    }
}

/// What it says and whether it holds, and whether all of that holds.
fn explained(
    config: &Config,
    captured: &Captured,
    now: Timestamp,
) -> Result<(String, bool), VerifyError> {
    let now = match &captured.at {
        Some(text) => Timestamp::from_utc_date_time(text).ok_or(VerifyError::At)?,
        None => now,
    };
    let (portal, assertion) = portal(config, captured.portal.as_deref())?;
    let keys = keys(config, &assertion.signed_by, captured.jwks.as_deref())?;
    if !captured.more.is_empty() {
        return Err(VerifyError::Argument);
    }
    let jwt = captured_in(&read(captured.file.as_deref())?)?;
    let mut lines = Vec::new();
    let mut answers = Vec::new();
    match parts(&jwt) {
        Some((header, claims)) => {
            lines.push("header".to_owned());
            lines.extend(members(&header));
            lines.push("claims".to_owned());
            lines.extend(members(&claims));
            answers.extend(judged(&jwt, &header, &claims, portal, assertion, &keys, now));
        }
        None => answers.push(Answer {
            held: false,
            question: "form",
            finding:
                "it is not three parts of base64url with `.` between them, of which the first \
                      two are JSON objects: it was cut off, or is something else"
                    .to_owned(),
        }),
    }
    if jwt.len() > LONGEST {
        let finding = format!("it has {} bytes, and verifiers take {LONGEST}", jwt.len());
        answers.push(Answer { held: false, question: "size", finding });
    }
    let all_hold = answers.iter().all(|answer| answer.held);
    lines.extend(answers.iter().map(|Answer { held, question, finding }| {
        let mark = if *held { '✓' } else { '✗' };
        format!("{mark} {question}: {finding}")
    }));
    let lines: Vec<String> = lines.iter().map(|line| visible(line)).collect();
    Ok((lines.join("\n"), all_hold))
}

/// What is in an assertion may be anybody's: nothing of it moves a terminal, or writes backwards.
fn visible(line: &str) -> String {
    let mut visible = String::with_capacity(line.len());
    for character in line.chars() {
        match character {
            '"' | '\'' | '\\' => visible.push(character),
            _ => visible.extend(character.escape_debug()),
        }
    }
    visible
}

/// The portal it is asked for, and how that is signed for.
fn portal<'a>(
    config: &'a Config,
    named: Option<&str>,
) -> Result<(&'a Portal, &'a Assertion), VerifyError> {
    let url = |portal: &Portal| issuer(portal).to_owned();
    let portal = match (named, config.portals.as_slice()) {
        (Some(named), portals) => {
            let named = named.trim_end_matches('/');
            let found = portals.iter().find(|portal| issuer(portal) == named);
            found.ok_or_else(|| VerifyError::Portal(named.to_owned()))?
        }
        (None, [portal]) => portal,
        (None, portals) => {
            let all: Vec<String> = portals.iter().map(url).collect();
            return Err(VerifyError::Portals(all.join(", ")));
        }
    };
    let assertion = portal.identity.assertion.as_ref();
    Ok((portal, assertion.ok_or_else(|| VerifyError::Off(url(portal)))?))
}

fn issuer(portal: &Portal) -> &str {
    portal.public_url.as_str().trim_end_matches('/')
}

/// The keys that a portal would know, each as it is published: whatever else a set has is passed over.
fn keys(
    config: &Config,
    signed_by: &SignedBy,
    jwks: Option<&Path>,
) -> Result<Vec<Value>, VerifyError> {
    let Some(path) = jwks else {
        if let SignedBy::Secret(secret) = signed_by {
            return Ok(vec![secret_jwk(secret).expose().clone()]);
        }
        // Loading the configuration has read them; whoever takes them away now is told of no key.
        let keys = config.signing.read().unwrap_or_default();
        return Ok(keys.iter().map(|key| key.public().clone()).collect());
    };
    let name = path.display().to_string();
    let failed = |cause| VerifyError::Read { name: name.clone(), cause };
    let text = File::open(path).and_then(|file| read_at_most(file, LARGEST)).map_err(failed)?;
    let set: Option<Value> = serde_json::from_slice(&text).ok();
    let keys = set.as_ref().and_then(|set| set.get("keys")?.as_array()).cloned();
    keys.ok_or(VerifyError::Jwks(name))
}

fn read(path: Option<&Path>) -> Result<String, VerifyError> {
    let path = path.filter(|path| *path != Path::new("-"));
    if path.is_some_and(is_assertion) {
        return Err(VerifyError::Argument);
    }
    let name = path.map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
    let bytes = match path {
        Some(path) => File::open(path).and_then(|file| read_at_most(file, LARGEST)),
        None => read_at_most(io::stdin().lock(), LARGEST),
    };
    let bytes = bytes.map_err(|cause| VerifyError::Read { name, cause })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether somebody has put the assertion where its file is named: it is not to be printed again, in
/// an error or anywhere else (LOG-01). No name of a file is longer, and none looks so that is there.
fn is_assertion(path: &Path) -> bool {
    const LONGEST_NAME: usize = 255;
    let name = path.as_os_str().as_encoded_bytes();
    let is_too_long = name.split(|byte| *byte == b'/').any(|part| part.len() > LONGEST_NAME);
    // A JSON object in base64url begins so.
    let has_object = memchr::memmem::find(name, b"eyJ").is_some();
    is_too_long || (has_object && !path.exists())
}

/// The assertion in what was captured: alone, or as a line of a request's head, which tools write
/// with `> ` before it.
fn captured_in(text: &str) -> Result<String, VerifyError> {
    let lines = || text.lines().map(|line| line.trim_start_matches(['>', ' ', '\t']).trim_end());
    let fields = lines().filter_map(|line| line.split_once(':'));
    let mut named = fields
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case(ASSERTION))
        .map(|(_, value)| value.trim());
    match (named.next(), named.next()) {
        (Some(value), None) => Ok(value.to_owned()),
        (Some(_), Some(_)) => Err(VerifyError::Twice),
        (None, _) => {
            let mut lines = lines().filter(|line| !line.is_empty());
            match (lines.next(), lines.next()) {
                (Some(one), None) if !one.contains([':', ' ']) => Ok(one.to_owned()),
                _ => Err(VerifyError::Nothing),
            }
        }
    }
}

/// Header and claims, of which nothing is verified.
fn parts(jwt: &str) -> Option<(Map<String, Value>, Map<String, Value>)> {
    let mut parts = jwt.split('.');
    let mut object = || {
        let bytes = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        serde_json::from_slice(&bytes).ok()
    };
    let (header, claims) = (object()?, object()?);
    URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
    parts.next().is_none().then_some((header, claims))
}

/// A line each.
fn members(object: &Map<String, Value>) -> impl Iterator<Item = String> {
    object.iter().map(|(name, value)| {
        let time = match name.as_str() {
            "iat" | "nbf" | "exp" => value.as_i64().map(Timestamp::from_unix_seconds),
            _ => None,
        };
        let time = time.map_or_else(String::new, |time| format!("  {}", time.to_utc_date_time()));
        format!("  {name} {value}{time}")
    })
}

/// The answers to a verifier's questions, up to the first after which the next make no sense.
fn judged(
    jwt: &str,
    header: &Map<String, Value>,
    claims: &Map<String, Value>,
    portal: &Portal,
    assertion: &Assertion,
    keys: &[Value],
    now: Timestamp,
) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut answer = |question, found: Result<String, String>| {
        let held = found.is_ok();
        let finding = found.unwrap_or_else(|why| why);
        answers.push(Answer { held, question, finding });
        held
    };
    let (wanted, name) = algorithm(&assertion.signed_by);
    if header.contains_key("crit") {
        let why = "its header has `crit`: rules that a verifier may not know, so it takes none";
        answer("crit", Err(why.to_owned()));
    }
    if answer("algorithm", same(header.get("alg"), name, "its header names"))
        && let Some(key) = {
            let key = key(header, wanted, name, keys);
            let found = key.as_ref().map(|(_, finding)| finding.clone()).map_err(Clone::clone);
            answer("key", found).then_some(key).and_then(Result::ok)
        }
    {
        let mut rules = Validation::new(wanted);
        rules.required_spec_claims.clear();
        rules.validate_exp = false;
        rules.validate_aud = false;
        let verified = jsonwebtoken::decode::<Map<String, Value>>(jwt, &key.0, &rules);
        let finding = verified.map(|_| "it fits".to_owned()).map_err(|_| {
            "it does not fit: something was changed after it was signed, or it was made by \
             somebody else with this key's name"
                .to_owned()
        });
        answer("signature", finding);
    }
    answer("issuer", same(claims.get("iss"), issuer(portal), "it is from"));
    answer("audience", same(claims.get("aud"), &assertion.audience, "it is for"));
    let subject = claims.get("sub").and_then(Value::as_str).filter(|subject| !subject.is_empty());
    let nobody = || "there is no `sub`: it names nobody".to_owned();
    answer("subject", subject.map(str::to_owned).ok_or_else(nobody));
    answer("time", time(claims, now));
    answers
}

const fn algorithm(signed_by: &SignedBy) -> (Algorithm, &'static str) {
    use crate::signing_key::SigningAlgorithm as Signing;
    match signed_by {
        SignedBy::Key(algorithm @ Signing::Es256) => (Algorithm::ES256, algorithm.name()),
        SignedBy::Key(algorithm @ Signing::EdDsa) => (Algorithm::EdDSA, algorithm.name()),
        SignedBy::Key(algorithm @ Signing::Rs256) => (Algorithm::RS256, algorithm.name()),
        SignedBy::Secret(_) => (Algorithm::HS256, "HS256"),
    }
}

/// A member has to be this text, and no other and no list.
fn same(found: Option<&Value>, wanted: &str, says: &str) -> Result<String, String> {
    match found {
        Some(Value::String(found)) if found == wanted => Ok(wanted.to_owned()),
        Some(found) => Err(format!("{says} {found}, and for this portal it has to be `{wanted}`")),
        None => Err(format!("it names none, and for this portal it has to be `{wanted}`")),
    }
}

/// The key that it names, if a portal knows it and it is one for this algorithm.
fn key(
    header: &Map<String, Value>,
    algorithm: Algorithm,
    name: &str,
    keys: &[Value],
) -> Result<(DecodingKey, String), String> {
    let Some(id) = header.get("kid").and_then(Value::as_str) else {
        return Err("its header names none by `kid`".to_owned());
    };
    if keys.is_empty() {
        return Err("without `signing.keys` one is made at each start: save what the running \
                    Anteport publishes at /.auth/jwks.json, and name that file by `--jwks`"
            .to_owned());
    }
    let text =
        |key: &Value, member: &str| key.get(member).and_then(Value::as_str).map(str::to_owned);
    let named = || keys.iter().filter(|key| key.get("kid").and_then(Value::as_str) == Some(id));
    let Some(key) = named().find(|key| text(key, "alg").as_deref() == Some(name)) else {
        return Err(match named().next() {
            Some(other) => format!(
                "{id:?} is a key for {}, and for this portal it has to be one for {name}",
                text(other, "alg").as_deref().unwrap_or("no algorithm that it names")
            ),
            None => format!(
                "none of the {} that are known is {id:?}: it was taken away since, or is another \
                 Anteport's",
                keys.len()
            ),
        });
    };
    let kind = match algorithm {
        Algorithm::ES256 => ("EC", Some("P-256")),
        Algorithm::EdDSA => ("OKP", Some("Ed25519")),
        Algorithm::RS256 => ("RSA", None),
        _ => ("oct", None),
    };
    let (kty, crv) = (text(key, "kty"), text(key, "crv"));
    let jwk = (kty.as_deref(), crv.as_deref()) == (Some(kind.0), kind.1);
    let jwk = jwk.then(|| serde_json::from_value::<Jwk>(key.clone()).ok()).flatten();
    let decoding = jwk.and_then(|jwk| DecodingKey::from_jwk(&jwk).ok()).ok_or_else(|| {
        let found = [kty, crv].into_iter().flatten().collect::<Vec<_>>().join(" ");
        format!("{id:?} says that it is for {name}, and is no such key: it is `{found}`")
    })?;
    let finding = match algorithm {
        Algorithm::HS256 => format!("{id}, the secret that the portal has too"),
        _ => id.to_owned(),
    };
    Ok((decoding, finding))
}

/// As the verifiers judge it: a fraction of a second is a number, too.
fn time(claims: &Map<String, Value>, now: Timestamp) -> Result<String, String> {
    let moment = |name: &str| {
        let missing = || format!("there is no `{name}` in seconds since 1970, as a number");
        claims.get(name).and_then(Value::as_f64).ok_or_else(missing)
    };
    let (issued, expires) = (moment("iat")?, moment("exp")?);
    let begins = if claims.contains_key("nbf") { moment("nbf")? } else { issued };
    #[expect(clippy::cast_precision_loss, reason = "exact for some hundred million years")]
    let now = now.unix_seconds() as f64;
    let (ahead, left) = (issued.max(begins) - now, expires - now);
    if ahead > LEEWAY {
        return Err(format!("it is from {ahead:.0} s ahead: one of the two clocks is wrong"));
    }
    if left > LONGEST_LIFE {
        return Err(format!(
            "it is valid for {left:.0} s more, and no assertion of Anteport's for more than a \
             minute: verifiers refuse more than {LONGEST_LIFE:.0} s"
        ));
    }
    if left <= -LEEWAY {
        let made = claims.get("iat").and_then(Value::as_i64).map(Timestamp::from_unix_seconds);
        let advice = made.map_or_else(String::new, |made| {
            format!(
                "; ask with `--at {}` whether it held when it was made",
                made.to_utc_date_time()
            )
        });
        return Err(format!("it expired {:.0} s ago{advice}", -left));
    }
    Ok(if left > 0.0 {
        format!("it is valid for {left:.0} s more")
    } else {
        format!(
            "it expired {:.0} s ago, which is within the {LEEWAY:.0} s that clocks may differ",
            -left
        )
    })
}
