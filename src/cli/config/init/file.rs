//! The file that is written: a dozen lines of settings, and comments that say what to do with them.

use std::fmt::Write as _;

use super::answers::Answers;
use crate::config::plain_or_quoted;

/// The configuration that the answers make.
pub(super) fn text(answers: &Answers) -> String {
    let value = |flag: &str| plain_or_quoted(answers.get(flag).unwrap_or_default());
    let kind = answers.get("kind").unwrap_or("entra_id");
    let mut text = format!(
        "# yaml-language-server: $schema=./config.schema.json\n\
         # Written by `anteport config init`. `anteport config explain KEY` says what a key is for, and\n\
         # `anteport config schema > config.schema.json` beside this file makes editors know all of them.\n\
         \n\
         # Where visitors connect.\n\
         listen:\n{}",
        listen(answers)
    );
    let _ = write!(
        text,
        "\nproviders:\n  \
         # The name is in the redirect URI.\n  \
         corporate:\n    \
         kind: {}\n",
        plain_or_quoted(kind)
    );
    match kind {
        "oidc" => {
            let _ = writeln!(text, "    issuer: {}", value("issuer"));
        }
        _ => {
            let _ = writeln!(text, "    tenant: {}", value("tenant"));
        }
    }
    if kind == "azure_ad_b2c" {
        let _ = writeln!(text, "    policy: {}", value("user-flow"));
    }
    if let Some(domain) = answers.get("domain") {
        let authority = match domain.contains("://") {
            true => domain.to_owned(),
            false => format!("https://{domain}"),
        };
        let _ = writeln!(text, "    authority: {}", plain_or_quoted(&authority));
    }
    let secret = match answers.get("secret-env") {
        Some(name) => format!("env: {}", plain_or_quoted(name)),
        None => format!("file: {}", value("secret-file")),
    };
    let _ = write!(
        text,
        "    client_id: {}\n    \
         credentials:\n      \
         - secret: {{ {secret} }}\n        \
         # The day on which it ends, for a warning before.\n        \
         # expires: 2027-03-01\n\
         \n\
         portals:\n  \
         - public_url: {}\n    \
         # The portal must not be reachable by anybody else.\n    \
         upstream: {{ url: {} }}\n    \
         mode: {}\n",
        value("client-id"),
        value("public-url"),
        value("upstream"),
        plain_or_quoted(answers.get("mode").unwrap_or("azure_only")),
    );
    text.push_str(&local_login(answers));
    text.push_str(
        "    # The first line that covers a path decides. Without any, everything needs a sign-in where\n    \
         # the mode asks for one.\n    \
         # routes:\n    \
         #   - { path: \"/assets/**\", access: public }\n    \
         #   - { path: \"/**\", access: signed_in }\n    \
         # What the portal is told about a member, besides the signed X-Anteport-Assertion.\n    \
         # identity: { headers: { X-Auth-User: oid, X-Auth-Email: email } }\n",
    );
    text
}

fn listen(answers: &Answers) -> String {
    let files = answers.get("tls-certificate").zip(answers.get("tls-key"));
    let address = answers.get("listen").unwrap_or(match files {
        Some(_) => "0.0.0.0:8443",
        None => "127.0.0.1:8443",
    });
    let address = plain_or_quoted(address);
    match files {
        Some((certificate, key)) => format!(
            "  address: {address}\n  \
             tls: {{ certificate: {}, key: {} }}\n",
            plain_or_quoted(certificate),
            plain_or_quoted(key)
        ),
        None => format!(
            "  address: {address}\n  \
             # Without these TLS has to end in front.\n  \
             # tls: {{ certificate: /etc/anteport/tls.crt, key: /etc/anteport/tls.key }}\n"
        ),
    }
}

fn local_login(answers: &Answers) -> String {
    const BEGIN: &str = "    # Where the portal itself asks for passwords: by its product, or by rules of your own.\n";
    match answers.get("profile") {
        Some(profile) => {
            format!("{BEGIN}    local_login: {{ profile: {} }}\n", plain_or_quoted(profile))
        }
        None => format!(
            "{BEGIN}    # `mode: report_only` and `anteport discover` find them; `generic` is for any product.\n    \
             # local_login: {{ profile: generic }}\n"
        ),
    }
}
