//! The configuration of a portal that is for everybody, where what is tested is not who comes in.

/// The proxy at `port`, its admin listener at `admin`, and the portal at `portal`.
pub(crate) fn open(port: u16, admin: u16, portal: u16, more: &str) -> String {
    format!(
        r#"
listen: {{ address: "127.0.0.1:{port}" }}
admin: {{ address: "127.0.0.1:{admin}" }}
portals:
  - public_url: "http://127.0.0.1:{port}"
    upstream: {{ url: "http://127.0.0.1:{portal}" }}
    mode: "off"
    local_login: {{}}
    routes: [ {{ path: "/**", access: public, websocket: true }} ]
{more}
"#
    )
}
