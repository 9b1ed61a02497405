//! The portal's own password doors: whether each form that takes a password, and each rule of the
//! configuration, comes to nothing by our own decision. No form is ever sent.

use std::collections::BTreeSet;

use http::{HeaderMap, Method};
use tokio::time::Instant;
use url::Url;

use super::doors::{self, Attempt, Fate};
use super::html::{self, FormTag};
use super::portal::{At, PATIENCE};
use super::{Case, Check, Finding, Told};
use crate::config::Portal;
use crate::gate::Mode;
use crate::upstream::Page;

/// The most pages that are looked at for a form.
const PAGES: usize = 8;
/// The most forms of a page that are told of.
const FORMS: usize = 16;

/// The forms of the first page, of where it leads, of pages that it calls a sign-in, and of the login
/// pages.
pub(super) async fn forms(case: &Case, at: &At<'_>, first: &Page, told: &Told) {
    let subject = at.portal.origin();
    let mut targets: Vec<String> = vec!["/".to_owned()];
    targets.extend(at.local_redirect(first).map(|there| target_of(&there)));
    let pages = at.portal.policy.login_pages.iter();
    let plain = pages.map(|rule| rule.path.as_str()).filter(|path| !path.contains('*'));
    targets.extend(plain.map(str::to_owned));
    targets.extend(sign_ins(at.portal, first));
    let mut known = BTreeSet::new();
    targets.retain(|target| known.insert(target.clone()));
    let begun = Instant::now();
    let (mut found, mut seen): (Vec<Finding>, Vec<&str>) = (Vec::new(), Vec::new());
    for (position, target) in targets.iter().take(PAGES).enumerate() {
        let page = match position {
            0 => html_of(first),
            _ if begun.elapsed() > PATIENCE => break,
            _ => at.get(target).await.ok().and_then(|page| html_of(&page)),
        };
        let Some(page) = page else { continue };
        seen.push(path_of(target));
        let forms = html::password_forms(&page);
        for form in forms.into_iter().take(FORMS) {
            let finding = form_at(case, at.portal, target, &form);
            if !found.contains(&finding) {
                found.push(finding);
            }
        }
    }
    if found.is_empty() {
        let say = match seen.is_empty() {
            true => "no page was there to see a password form on".to_owned(),
            false => format!("no password form was seen at {}", seen.join(", ")),
        };
        let fix = match at.portal.policy.password_routes.is_empty() {
            true => {
                "if the portal has a sign-in of its own, name its product in `local_login.profile`, \
                 or its page in `local_login.login_pages`: what is not named stays open"
            }
            false => "see that `local_login` is of this product, if the portal has such a form",
        };
        found.push(Finding::skipped(Check::LoginForm, subject, say).fix(fix));
    }
    told.all(found);
}

/// Pages of the portal that its first page leads to and that are called a sign-in.
fn sign_ins(portal: &Portal, first: &Page) -> Vec<String> {
    let base = &portal.public_url;
    let links = html_of(first).map(|page| html::links(&page)).unwrap_or_default();
    let there = links.iter().filter_map(|link| base.join(link).ok());
    let here = there.filter(|there| there.origin() == base.origin());
    let mut known = BTreeSet::new();
    let called = here.filter(|there| is_sign_in(there.path()));
    called
        .filter(|there| known.insert(there.path().to_owned()))
        .map(|there| target_of(&there))
        .collect()
}

/// Whether a path is called a sign-in by one of its segments, and no sign-out by another, which
/// nobody asks for who only wants to look.
fn is_sign_in(path: &str) -> bool {
    let has = |words: &[&str]| {
        path.split('/').any(|segment| {
            let segment = segment.to_ascii_lowercase().replace(['-', '_'], "");
            let name = segment.split(['.', ';']).next().unwrap_or_default();
            words.contains(&name)
        })
    };
    let outs = ["logout", "logoff", "signout", "signoff", "abmelden", "deconnexion"];
    let ins = ["login", "logon", "signin", "wplogin", "anmelden", "anmeldung", "connexion"];
    has(&ins) && !has(&outs)
}

/// What becomes of a password that somebody types into this form.
fn form_at(case: &Case, portal: &Portal, page: &str, form: &FormTag) -> Finding {
    let (check, subject, target) = (Check::LoginForm, portal.origin(), page);
    // A query may hold what is nobody else's (LOG-01).
    let page = path_of(target);
    let mode = portal.policy.mode;
    if matches!(mode, Mode::Optional | Mode::Off) {
        let told = format!("the form at {page} works, as the mode `{}` says", mode.name());
        return Finding::ok(check, subject, told);
    }
    if form.method.is_empty() {
        let told = format!("at {page} a script takes a password, and where to cannot be seen");
        let fix = "run the portal in mode `report_only` for a while; `anteport discover` then \
                   proposes the rules";
        return Finding::warning(check, subject, told).fix(fix);
    }
    let base = portal.public_url.join(target).unwrap_or(portal.public_url.clone());
    let action = form.action.as_deref().unwrap_or_default();
    let Ok(mut to) = base.join(action) else {
        let told = format!("the form at {page} goes to what is no address");
        return Finding::skipped(check, subject, told);
    };
    if to.origin() != base.origin() && !is_own_address(portal, &to) {
        let told = format!(
            "the form at {page} goes to {}, which is not behind Anteport",
            to.origin().ascii_serialization()
        );
        let fix = "shut the password sign-in there too";
        return Finding::warning(check, subject, told).fix(fix);
    }
    let mut fields = form.fields.clone();
    for name in &form.passwords {
        fields.retain(|(known, _)| known != name);
        fields.push((name.clone(), "x".to_owned()));
    }
    let method = if form.method == "POST" { Method::POST } else { Method::GET };
    if method == Method::GET {
        to.query_pairs_mut().clear().extend_pairs(fields.drain(..));
    }
    let (target, path) = (target_of(&to), to.path().to_owned());
    let attempt = Attempt { method: &method, target: &target, fields: &fields };
    match doors::fate(case, portal, &attempt, HeaderMap::new()) {
        Fate::Shut(rule) => {
            let told = format!("the form at {page} goes to {path}, which `{rule}` refuses");
            Finding::ok(check, subject, told)
        }
        Fate::Nowhere => {
            let told = format!("the form at {page} goes to {path}, which reaches nobody");
            Finding::ok(check, subject, told)
        }
        Fate::Open(who) => {
            let field = form.passwords.first().map_or("password", |name| name.as_str());
            let told = format!(
                "the form at {page} takes a password to {path}, and no rule refuses it: it is \
                 open to {who}"
            );
            let fix = format!(
                "add to `local_login.password_routes`: {{ path: \"{path}\", methods: \
                 [{method}], form: {{ \"{}\": \"*\" }} }}",
                plain(field)
            );
            match mode {
                Mode::ReportOnly => Finding::warning(check, subject, told),
                Mode::AzureOnly | Mode::Optional | Mode::Off => {
                    Finding::error(check, subject, told)
                }
            }
            .fix(fix)
        }
    }
}

/// Whether each rule refuses what it is there for, to strangers and to members.
pub(super) fn routes(case: &Case, portal: &Portal) -> Finding {
    let (check, subject) = (Check::PasswordRoutes, portal.origin());
    let policy = &portal.policy;
    if matches!(policy.mode, Mode::Optional | Mode::Off) {
        let told = format!("passwords pass, as the mode `{}` says", policy.mode.name());
        return Finding::ok(check, subject, told);
    }
    let (mut open, mut count) = (Vec::new(), 0_usize);
    for rule in &policy.password_routes {
        let Some(example) = doors::of_rule(rule) else { continue };
        count = count.saturating_add(1);
        let attempt =
            Attempt { method: &example.method, target: &example.target, fields: &example.fields };
        if let Fate::Open(who) = doors::fate(case, portal, &attempt, example.headers) {
            open.push(format!("`{}` (to {who})", rule.name));
        }
    }
    if open.is_empty() {
        if count == 0 {
            return Finding::skipped(check, subject, "`local_login` names no password route");
        }
        let told = match policy.mode {
            Mode::ReportOnly => format!("all {count} would be refused in `azure_only`"),
            Mode::AzureOnly | Mode::Optional | Mode::Off => {
                format!("all {count} are refused, to strangers and to members")
            }
        };
        return Finding::ok(check, subject, told);
    }
    let told = format!("open in spite of their rules: {}", open.join(", "));
    let fix = "look at `unless` of these rules; `anteport explain` says why for one request";
    Finding::error(check, subject, told).fix(fix)
}

/// Whether an address is one of the portal's servers.
fn is_own_address(portal: &Portal, url: &Url) -> bool {
    let port = url.port_or_known_default();
    let mut servers = portal.upstream.servers.iter();
    servers.any(|server| url.host_str() == Some(&server.host) && port == Some(server.port))
}

fn html_of(page: &Page) -> Option<String> {
    page.status.is_success().then(|| String::from_utf8_lossy(&page.body).into_owned())
}

fn target_of(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

fn path_of(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

/// A field's name as it may stand in a line of ours.
fn plain(name: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || "_-.[]:".contains(*c);
    name.chars().filter(is_plain).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_called_a_sign_in_is_looked_at_and_a_sign_out_is_not() {
        for path in ["/login", "/account/Sign-In", "/wp-login.php", "/sign_in;x=1", "/de/anmelden/"]
        {
            assert!(is_sign_in(path), "{path}");
        }
        for path in ["/", "/designing", "/login/logout", "/deconnexion", "/loginhelp", "/sign-out"]
        {
            assert!(!is_sign_in(path), "{path}");
        }
    }
}
