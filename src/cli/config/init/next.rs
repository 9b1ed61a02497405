//! What is said when the file is there: what to register, what is still to do, and what to run.

use super::super::super::check::to_register;
use super::answers::{Answers, Judged};
use crate::config::Portal;

/// The next steps.
pub(super) fn steps(name: &str, answers: &Answers, written: &Judged) -> String {
    let mut lines = vec![format!("{name} is written."), String::new()];
    let portals: Vec<&Portal> = written.config.portals.iter().collect();
    for provider in &written.config.providers {
        lines.extend(to_register(provider, &portals));
    }
    lines.push(String::new());
    let secret = match (answers.get("secret-file"), answers.get("secret-env")) {
        (Some(path), _) => format!("into {path}, readable by Anteport alone"),
        (None, Some(name)) => format!("into the environment variable {name}"),
        (None, None) => String::new(),
    };
    lines.extend(at_provider(answers.get("kind").unwrap_or_default(), &secret));
    if !written.still_to_do.is_empty() {
        lines.extend([String::new(), "Before it can run:".to_owned()]);
        lines.extend(written.still_to_do.iter().map(|line| format!("  {line}")));
    }
    lines.extend([
        String::new(),
        "Then:".to_owned(),
        format!("  anteport check --config {name}"),
        format!("  anteport doctor --config {name}"),
        format!("  anteport run --config {name}"),
    ]);
    lines.join("\n")
}

/// What to do where the people's accounts are.
fn at_provider(kind: &str, secret: &str) -> Vec<String> {
    let (place, last) = match kind {
        "entra_id" => (
            "Next, in the Entra admin center, under App registrations, in your app:",
            "  3. Token configuration: the optional claims `email`, `login_hint` and `sid`",
        ),
        "azure_ad_b2c" => (
            "Next, in the Azure portal, under Azure AD B2C, App registrations, in your app:",
            "  3. User flows, in yours, Application claims: at least Email Addresses and Display Name",
        ),
        "external_id" => (
            "Next, in the Entra admin center of the external tenant, under App registrations, in your \
             app:",
            "  3. External Identities, User flows, in yours, Applications: add the app",
        ),
        _ => {
            return vec![
                "Next, at the provider:".to_owned(),
                "  1. a client of the type web, confidential, with the URIs above".to_owned(),
                format!("  2. its client secret, {secret}"),
            ];
        }
    };
    vec![
        place.to_owned(),
        "  1. Authentication, Add a platform, Web: the URIs above".to_owned(),
        format!("  2. Certificates & secrets, New client secret: its Value, {secret}"),
        last.to_owned(),
    ]
}
