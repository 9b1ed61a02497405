//! A browser as far as a proxy can tell: cookies by host, page headers, redirects, forms.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use url::Url;

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub url: Url,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        let found = self.headers.iter().filter(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.text()))
    }

    pub fn location(&self) -> Url {
        let location = self.header("location").unwrap_or_else(|| panic!("{self:?}"));
        self.url.join(location).unwrap()
    }
}

/// One visitor's browser. Clones share nothing.
#[derive(Clone)]
pub struct Browser {
    origin: Url,
    /// By host and port, then name.
    pub cookies: BTreeMap<String, BTreeMap<String, String>>,
    /// The names of those that come along from another site.
    from_elsewhere: BTreeSet<String>,
    /// Where a host and port are connected to, if it is not where their name says.
    pub reached: BTreeMap<String, SocketAddr>,
}

/// What a browser sends when somebody opens a page.
pub const PAGE: &[(&str, &str)] = &[
    ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-site", "none"),
    ("user-agent", "Tests/1.0"),
];

impl Browser {
    pub fn new(origin: String) -> Self {
        Self {
            origin: Url::parse(&origin).unwrap(),
            cookies: BTreeMap::new(),
            from_elsewhere: BTreeSet::new(),
            reached: BTreeMap::new(),
        }
    }

    /// The cookies that our proxy's host has set.
    pub fn own_cookies(&mut self) -> &mut BTreeMap<String, String> {
        let host = host(&self.origin);
        self.cookies.entry(host).or_default()
    }

    /// Opens a page, without following where it leads.
    pub async fn open(&mut self, target: &str) -> Answer {
        let url = self.origin.join(target).unwrap();
        self.open_url(&url).await
    }

    pub async fn open_url(&mut self, url: &Url) -> Answer {
        let answer = self.ask(url, "GET", PAGE, b"").await;
        self.keep(&answer);
        answer
    }

    /// Opens a page and follows redirects to its end.
    pub async fn follow(&mut self, target: &str) -> Answer {
        let answer = self.open(target).await;
        self.follow_from(answer).await
    }

    pub async fn follow_from(&mut self, mut answer: Answer) -> Answer {
        for _ in 0..10 {
            if !(300..400).contains(&answer.status) {
                return answer;
            }
            answer = self.open_url(&answer.location()).await;
        }
        panic!("a redirect loop ends at {}", answer.url)
    }

    /// Fills in the emulated Microsoft's form and goes as far as the provider's redirect back.
    pub async fn sign_in_to_callback(&mut self, target: &str, username: &str) -> Url {
        let form = self.follow(target).await;
        assert!(form.text().contains("name=\"password\""), "{} {}", form.url, form.text());
        let back = self.submit(&form, username, "demo").await;
        back.location()
    }

    /// Signs in and follows to the page that was asked for.
    pub async fn sign_in(&mut self, target: &str, username: &str) -> Answer {
        let callback = self.sign_in_to_callback(target, username).await;
        let answer = self.open_url(&callback).await;
        self.follow_from(answer).await
    }

    /// Sends the sign-in form of a page.
    pub async fn submit(&mut self, page: &Answer, username: &str, password: &str) -> Answer {
        self.fill(page, 0, &[("username", username), ("password", password)]).await
    }

    /// Sends one of a page's forms, with its hidden fields. What is posted to another site than the
    /// page's takes those cookies along that may, as in a browser.
    pub async fn fill(&mut self, page: &Answer, form: usize, typed: &[(&str, &str)]) -> Answer {
        let html = page.text();
        let form = html.split("<form").nth(form + 1).unwrap();
        let action = attribute(form.split('>').next().unwrap(), "action").unwrap_or_default();
        let url = page.url.join(&action).unwrap();
        let mut fields = url::form_urlencoded::Serializer::new(String::new());
        for input in form.split("<input").skip(1) {
            let input = input.split('>').next().unwrap();
            if attribute(input, "type").as_deref() == Some("hidden") {
                let value = attribute(input, "value").unwrap_or_default();
                fields.append_pair(&attribute(input, "name").unwrap(), &value);
            }
        }
        fields.extend_pairs(typed);
        let body = fields.finish();
        let mut headers = PAGE.to_vec();
        headers.push(("content-type", "application/x-www-form-urlencoded"));
        let browser = match host(&page.url) == host(&url) {
            true => self.clone(),
            false => self.elsewhere(),
        };
        let answer = browser.ask(&url, "POST", &headers, body.as_bytes()).await;
        self.keep(&answer);
        answer
    }

    /// The same browser as far as another site's page can make it speak.
    fn elsewhere(&self) -> Self {
        let mut browser = self.clone();
        for jar in browser.cookies.values_mut() {
            jar.retain(|name, _| self.from_elsewhere.contains(name));
        }
        browser
    }

    /// Sends any request to the proxy, with this browser's cookies and exactly these headers.
    pub async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        // As it is: joining would make it canonical.
        self.ask_for(target, &self.origin.clone(), method, headers, body).await
    }

    /// What it would say at our proxy's host in `Cookie`.
    pub fn cookie(&self) -> Option<String> {
        self.cookie_for(&self.origin)
    }

    fn cookie_for(&self, url: &Url) -> Option<String> {
        let jar = self.cookies.get(&host(url)).filter(|jar| !jar.is_empty())?;
        let pairs: Vec<String> =
            jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Some(pairs.join("; "))
    }

    async fn ask(&self, url: &Url, method: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        self.ask_for(target, url, method, headers, body).await
    }

    async fn ask_for(
        &self,
        target: &str,
        url: &Url,
        method: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request =
            http::Request::builder().method(method).uri(target).header("host", host(url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(cookies) = self.cookie_for(url) {
            request = request.header("cookie", cookies);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        let host = host(url);
        let stream = match self.reached.get(&host) {
            Some(address) => TcpStream::connect(address).await.unwrap(),
            None => TcpStream::connect(host).await.unwrap(),
        };
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let response = sender.send_request(request).await.unwrap();
        let (head, body) = response.into_parts();
        let headers = head.headers.iter().map(|(name, value)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        Answer {
            status: head.status.as_u16(),
            headers: headers.collect(),
            body: body.collect().await.unwrap().to_bytes().to_vec(),
            url: url.clone(),
        }
    }

    fn keep(&mut self, answer: &Answer) {
        let jar = self.cookies.entry(host(&answer.url)).or_default();
        for cookie in answer.all("set-cookie") {
            let mut parts = cookie.split(';').map(str::trim);
            let (name, value) = parts.next().unwrap().split_once('=').unwrap();
            let attributes: Vec<&str> = parts.collect();
            if attributes.contains(&"SameSite=None") {
                self.from_elsewhere.insert(name.to_owned());
            }
            if attributes.contains(&"Max-Age=0") {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

fn host(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap(), url.port_or_known_default().unwrap())
}

/// An attribute of a tag, with the few entities that our templates write.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, after) = tag.split_once(&format!("{name}=\""))?;
    let value = after.split('"').next()?;
    let entities = [
        ("&#38;", "&"),
        ("&amp;", "&"),
        ("&#61;", "="),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
    ];
    Some(
        entities.iter().fold(value.to_owned(), |text, (entity, plain)| text.replace(entity, plain)),
    )
}
