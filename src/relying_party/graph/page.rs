//! A page of groups: where the first is, how one is read, and where the next may be. Values only.

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::GraphError;
use crate::gate::Group;

/// The most that Graph has on a page.
const PAGE_SIZE: u32 = 999;
/// The longest link that is followed.
const LONGEST_LINK: usize = 8 * 1024;
/// The longest name of an error that is kept.
const LONGEST_CODE: usize = 64;

/// A page.
pub(super) struct Page {
    pub(super) groups: Vec<Group>,
    /// Where Graph says that the next one is.
    pub(super) next: Option<String>,
}

/// Where the first page is.
pub(super) fn first(base: &Url, names: bool) -> Url {
    let fields = if names { "id,displayName" } else { "id" };
    let mut url = base.clone();
    url.set_path(&format!("{}me/transitiveMemberOf/microsoft.graph.group", prefix(base)));
    url.set_query(Some(&format!("$select={fields}&$top={PAGE_SIZE}&$count=true")));
    url
}

/// The next page, if it is on the very same host and below the same path: the access token goes
/// nowhere else (OIDC-11, OIDC-18).
pub(super) fn next(base: &Url, link: &str) -> Result<Url, GraphError> {
    let url = Url::parse(link).map_err(|_| GraphError::Link)?;
    let is_there = link.len() <= LONGEST_LINK
        && url.origin() == base.origin()
        && url.origin().is_tuple()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        && url.path().starts_with(&prefix(base));
    is_there.then_some(url).ok_or(GraphError::Link)
}

fn prefix(base: &Url) -> String {
    format!("{}/v1.0/", base.path().trim_end_matches('/'))
}

impl Page {
    /// Reads a page; `None` when it is none.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Written {
            value: Vec<WrittenGroup>,
            #[serde(rename = "@odata.nextLink")]
            next: Option<String>,
        }
        #[derive(Deserialize)]
        struct WrittenGroup {
            id: String,
            #[serde(rename = "displayName")]
            name: Option<String>,
        }

        let written: Written = serde_json::from_slice(body).ok()?;
        let groups = written.value.into_iter();
        Some(Self {
            groups: groups.map(|group| Group { id: group.id, name: group.name }).collect(),
            next: written.next,
        })
    }
}

/// What Graph calls an error, such as `Authorization_RequestDenied`.
pub(super) fn error_code(body: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let code = answer.get("error")?.get("code")?.as_str()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let is_code = (1..=LONGEST_CODE).contains(&code.len()) && code.bytes().all(is_plain);
    is_code.then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn the_first_page_is_below_the_base() {
        let url = |text, names| first(&base(text), names).to_string();
        assert_eq!(
            url("https://graph.microsoft.com", false),
            "https://graph.microsoft.com/v1.0/me/transitiveMemberOf/microsoft.graph.group\
             ?$select=id&$top=999&$count=true"
        );
        assert_eq!(
            url("http://127.0.0.1:9/graph/", true),
            "http://127.0.0.1:9/graph/v1.0/me/transitiveMemberOf/microsoft.graph.group\
             ?$select=id,displayName&$top=999&$count=true"
        );
    }

    #[test]
    fn oidc_11_the_next_page_is_where_graph_is() {
        let graph = base("https://graph.microsoft.com");
        let below = base("http://127.0.0.1:9/graph");
        assert!(next(&graph, "https://graph.microsoft.com/v1.0/me?$skiptoken=R").is_ok());
        assert!(next(&graph, "https://graph.microsoft.com:443/v1.0/me").is_ok());
        assert!(next(&below, "http://127.0.0.1:9/graph/v1.0/me").is_ok());
        for link in [
            "http://graph.microsoft.com/v1.0/me",
            "https://graph.microsoft.com:444/v1.0/me",
            "https://graph.microsoft.com.evil.example/v1.0/me",
            "https://evil.example/v1.0/me",
            "https://graph.microsoft.com@evil.example/v1.0/me",
            "https://u:p@graph.microsoft.com/v1.0/me",
            "https://graph.microsoft.com/beta/me",
            "https://graph.microsoft.com/v1.0/../beta/me",
            "https://graph.microsoft.com/v1.0/%2e%2e/beta/me",
            "https://graph.microsoft.com/v1.0/me#x",
            "//graph.microsoft.com/v1.0/me",
            "/v1.0/me",
            "data:/v1.0/me",
            "",
        ] {
            assert!(matches!(next(&graph, link), Err(GraphError::Link)), "{link}");
        }
        assert!(next(&below, "http://127.0.0.1:9/v1.0/me").is_err());
        let long = format!("https://graph.microsoft.com/v1.0/{}", "x".repeat(LONGEST_LINK));
        assert!(next(&graph, &long).is_err());
    }

    #[test]
    fn az_05_what_is_no_page_is_not_an_empty_one() {
        for body in [
            "",
            "{}",
            "[]",
            "null",
            r#"{"value":null}"#,
            r#"{"value":{}}"#,
            r#"{"value":[{}]}"#,
            r#"{"value":[{"id":1}]}"#,
            r#"{"value":["g1"]}"#,
            r#"{"value":[],"value":[]}"#,
            r#"{"value":[],"@odata.nextLink":1}"#,
            r#"{"value":[{"id":"g1"}"#,
        ] {
            assert!(Page::read(body.as_bytes()).is_none(), "{body}");
        }
        let page = r#"{"@odata.count":1,"value":[{"id":"g1","displayName":null}]}"#;
        let page = Page::read(page.as_bytes()).unwrap();
        assert_eq!(page.groups, [Group { id: "g1".into(), name: None }]);
        assert!(page.next.is_none());
        assert!(Page::read(br#"{"value":[]}"#).unwrap().groups.is_empty());
    }

    #[test]
    fn log_01_of_an_error_only_its_name_is_kept() {
        let code = |body: &str| error_code(body.as_bytes());
        let denied = r#"{"error":{"code":"Authorization_RequestDenied","message":"Ines may not"}}"#;
        assert_eq!(code(denied).as_deref(), Some("Authorization_RequestDenied"));
        assert_eq!(code(r#"{"error":{"code":"Ines may not"}}"#), None);
        assert_eq!(code("<html>"), None);
    }
}
