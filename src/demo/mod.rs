//! What `anteport demo` starts around the proxy: an emulated Microsoft ([`microsoft`]), a small
//! legacy portal with a password door ([`portal`]), and the [`story`] that both write of what
//! just happened. The end-to-end tests use the same two partners.
//!
//! They ship in the program, so they are made to be worthless elsewhere (CFG-05). Both refuse a
//! listener that is not on loopback, where a configuration may name a plain-`http` authority at
//! all. The emulator's signing keys and the client secret are made anew at each start and are
//! written nowhere, and its issuer is a loopback URL, which no token of Microsoft's carries. Every
//! page says that it is an emulator.
//!
//! Deliberately not here: binding the ports and starting the proxy (`cli/demo.rs`).

mod answer;
pub mod certificates;
mod fetch;
mod listener;
pub mod microsoft;
mod parameters;
pub mod portal;
mod random;
pub mod story;

use crate::gate::Secret;

/// The tenant of the emulated Microsoft.
pub const TENANT_ID: &str = "3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11";
/// The tenant's verified domain.
pub const TENANT_DOMAIN: &str = "harborclub.example";
/// The client id of the one app registration.
pub const CLIENT_ID: &str = "a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20";
/// The provider's name in [`configuration`].
pub const PROVIDER: &str = "corporate";

/// The ports of a demo, all on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The proxy's public listener.
    pub proxy: u16,
    /// The emulated Microsoft.
    pub microsoft: u16,
    /// The portal's own port, which in real life nobody could reach.
    pub portal: u16,
    /// The proxy's admin listener.
    pub admin: u16,
}

impl Ports {
    /// Four ports in a row.
    #[must_use]
    pub const fn starting_at(first: u16) -> Self {
        Self {
            proxy: first,
            microsoft: first.saturating_add(1),
            portal: first.saturating_add(2),
            admin: first.saturating_add(3),
        }
    }

    /// Where a visitor goes.
    #[must_use]
    pub fn public_url(&self) -> String {
        loopback(self.proxy)
    }

    /// The login host of the emulated Microsoft.
    #[must_use]
    pub fn authority(&self) -> String {
        loopback(self.microsoft)
    }

    /// The portal itself, past the proxy.
    #[must_use]
    pub fn portal_url(&self) -> String {
        loopback(self.portal)
    }

    /// The redirect URI of the proxy, to be registered at the emulator.
    #[must_use]
    pub fn redirect_uri(&self) -> String {
        format!("{}/.auth/login/{PROVIDER}/callback", self.public_url())
    }
}

fn loopback(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// A client secret for one start, in the form of Microsoft's.
#[must_use]
pub fn new_client_secret() -> Secret<String> {
    Secret::new(format!("demo~{}", random::token(26)))
}

/// What the proxy of a demo stands before.
#[derive(Clone, Copy, Debug)]
pub enum Before<'a> {
    /// The demo's own portal, or one that looks like it.
    OwnPortal,
    /// A portal that runs already, on loopback.
    Upstream {
        /// Scheme, host and port.
        url: &'a str,
        /// The product, by the name of its profile; without one, no route is known to take
        /// passwords.
        profile: Option<&'a str>,
    },
}

impl Before<'_> {
    /// `local_login` and `routes`, as an operator would write them.
    fn rules(&self) -> String {
        const OWN_PORTAL: &str = r#"local_login:
      login_pages: [/login]
      password_routes:
        - { path: /login, methods: [POST] }
    routes:
      - { path: "/assets/**", access: public }
      - { path: "/public/**", access: public }
      - { path: "/**", access: signed_in }"#;
        match *self {
            Self::OwnPortal => OWN_PORTAL.to_owned(),
            Self::Upstream { profile: None, .. } => "local_login: {}".to_owned(),
            Self::Upstream { profile: Some(profile), .. } => {
                format!("local_login: {{ profile: {profile} }}")
            }
        }
    }
}

/// The proxy's configuration in a demo, as an operator would write it.
#[must_use]
pub fn configuration(ports: &Ports, before: Before<'_>, client_secret: &Secret<String>) -> String {
    let public_url = ports.public_url();
    let authority = ports.authority();
    let portal_url = match before {
        Before::OwnPortal => ports.portal_url(),
        Before::Upstream { url, .. } => url.to_owned(),
    };
    let rules = before.rules();
    let pages = match before {
        Before::OwnPortal => "pages: { name: Harbor Club }",
        Before::Upstream { .. } => "pages: {}",
    };
    let secret = client_secret.expose();
    let (proxy, admin) = (ports.proxy, ports.admin);
    format!(
        r#"listen: {{ address: "127.0.0.1:{proxy}" }}
admin: {{ address: "127.0.0.1:{admin}" }}
logging: {{ level: warn, access: false }}

providers:
  {PROVIDER}:
    kind: entra_id
    authority: "{authority}"
    tenant: {TENANT_ID}
    client_id: {CLIENT_ID}
    credentials:
      - secret: {{ value: "{secret}" }}

portals:
  - public_url: "{public_url}"
    upstream: {{ url: "{portal_url}" }}
    mode: azure_only
    sign_in: {{ providers: [{PROVIDER}], test: true }}
    {pages}
    {rules}
    identity:
      headers:
        X-Auth-User: oid
        X-Auth-Email: email
        X-Auth-Name: name
        X-Auth-Roles: roles
      assertion: {{ algorithm: ES256, lifetime: 60s }}
    logout: {{ federated: true }}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_start_has_a_secret_of_its_own() {
        let ports = Ports::starting_at(8400);
        let (first, second) = (new_client_secret(), new_client_secret());
        assert!(!first.matches(second.expose()));
        let text = configuration(&ports, Before::OwnPortal, &first);
        assert!(text.contains(first.expose().as_str()));
    }

    #[test]
    fn before_another_portal_nothing_is_public_and_its_profile_is_named() {
        let text = |profile| {
            let before = Before::Upstream { url: "http://127.0.0.1:9", profile };
            configuration(&Ports::starting_at(8400), before, &new_client_secret())
        };
        assert!(text(None).contains("local_login: {}\n"));
        assert!(text(Some("wordpress")).contains("local_login: { profile: wordpress }\n"));
        assert!(text(None).contains(r#"upstream: { url: "http://127.0.0.1:9" }"#));
        assert!(!text(Some("wordpress")).contains("public }"));
    }
}
