//! Hostile requests: a request that must not pass, changed by a few operators, one upon another.
//! Cases are numbered, so that a failure can be repeated, and shrink by leaving operators out.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::fold;
use super::portals::{Breach, PORTALS, Portal, Request, Seed, breach};

/// A request in parts, for as long as it is being changed.
#[derive(Clone, Debug)]
pub struct Draft {
    method: String,
    before: String,
    path: String,
    query: Option<String>,
    after: String,
    headers: Vec<(String, String)>,
    content_type: Option<&'static str>,
    body: String,
}

impl Draft {
    pub fn of(seed: &Seed) -> Self {
        let (path, query) = match seed.target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (seed.target, None),
        };
        let content_type = match seed.body.chars().next() {
            Some('{') => Some("application/json"),
            Some(_) => Some("application/x-www-form-urlencoded"),
            None => None,
        };
        Self {
            method: seed.method.to_owned(),
            before: String::new(),
            path: path.to_owned(),
            query,
            after: String::new(),
            headers: Vec::new(),
            content_type,
            body: seed.body.to_owned(),
        }
    }

    pub fn request(&self) -> Request {
        let mut target = format!("{}{}", self.before, self.path);
        if let Some(query) = &self.query {
            target.push('?');
            target.push_str(query);
        }
        target.push_str(&self.after);
        let mut headers = HeaderMap::new();
        headers.insert("accept", HeaderValue::from_static("text/html"));
        if let Some(content_type) = self.content_type {
            headers.insert("content-type", HeaderValue::from_static(content_type));
        }
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
                headers.append(name, value);
            }
        }
        Request {
            method: self.method.clone(),
            target: target.into_bytes(),
            headers,
            body: self.body.clone().into_bytes(),
        }
    }

    /// Bytes at which a letter of the path stands, or any character if it has no letter.
    fn letter(&self, at: usize) -> Option<(usize, char)> {
        let letters =
            || self.path.char_indices().filter(|(_, letter)| letter.is_ascii_alphabetic());
        let count = letters().count();
        if count == 0 { None } else { letters().nth(at % count) }
    }

    fn any(&self, at: usize) -> Option<(usize, char)> {
        let inner = || self.path.char_indices().skip(1);
        let count = inner().count();
        if count == 0 { None } else { inner().nth(at % count) }
    }

    fn put(&mut self, (at, letter): (usize, char), new: &str) {
        self.path.replace_range(at..at + letter.len_utf8(), new);
    }

    fn insert_at_slash(&mut self, at: usize, text: &str) {
        let places: Vec<usize> =
            self.path.match_indices('/').map(|(at, _)| at).chain([self.path.len()]).collect();
        let place = places[at % places.len()];
        self.path.insert_str(place, text);
    }

    /// One parameter, of the query or else of a form: its place in the list, name and value.
    fn change_pair(&mut self, at: usize, change: impl Fn(&str, &str) -> String) {
        let is_form = self.content_type == Some("application/x-www-form-urlencoded");
        let list = match &mut self.query {
            Some(query) if !is_form || !at.is_multiple_of(3) => query,
            _ if is_form => &mut self.body,
            Some(query) => query,
            None => return,
        };
        let mut parts: Vec<String> = list.split('&').map(str::to_owned).collect();
        let index = parts.len() - 1 - (at % parts.len());
        let (name, value) = parts[index].split_once('=').unwrap_or((&parts[index], ""));
        parts[index] = change(name, value);
        *list = parts.join("&");
    }

    fn last_pair(&self) -> Option<(&str, &str)> {
        self.query.as_deref()?.rsplit('&').next()?.split_once('=')
    }
}

macro_rules! kinds {
    ($($kind:ident),* $(,)?) => {
        /// What an operator does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $($kind),* }
        const KINDS: &[Kind] = &[$(Kind::$kind),*];
    };
}

kinds! {
    Case, AllCaps, Escape, EscapeTwice, EscapeU, Overlong, Compatible, LookAlike, Accent, Mark,
    Invisible, Insert, Trail, ShortName, Cookieless, Ending, PathInfo, Folder, UnderPublic,
    Absolute, Fragment, Question, Name, Value, Repeat, Separator, AsForm, AsQuery, Method, Override,
    Rename, AsCookie, Sharp, NoEnding, Crlf,
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operator {
    pub kind: Kind,
    pub at: usize,
    pub pick: usize,
}

const INSERTED: &[&str] = &[
    "/",
    "//",
    "/.",
    "/x/..",
    "\\",
    "%2f",
    "%5c",
    "/..%2f",
    "/.%2e",
    "/%2e",
    ";x=y",
    ";jsessionid=1",
    ";",
    "/;",
    "%3b",
    "/%00",
    "/...",
    "/~",
    "%252f",
    "/%20",
    "/%c0%af",
    "/..;",
    "%u002f",
    "%e2%88%95",
    "%ef%bc%8f",
    ":80",
];
const TRAILING: &[&str] = &[
    "/",
    ".",
    "%20",
    "...",
    "%20.",
    "%00",
    "%0a",
    "%09",
    "~",
    "::$DATA",
    "::$data",
    ":$i30:$INDEX_ALLOCATION",
    ":x",
    "+",
    "%a0",
    "%c2%a0",
    "%e3%80%80",
    ";",
    "!",
    "!execute",
    "*",
    "'",
    ",",
    "@",
    "%22",
    "$",
    "&",
    "=",
    "-",
    "%e2%80%93",
    "(",
    ")",
    "%7f",
    "/.",
    "/..",
    "%e2%80%8b",
    "%ef%bc%8e",
    "_",
    "%2e",
    "%E2%80%A4",
    "/*",
];
const ENDINGS: &[&str] = &[
    ".json", ".html", ".php", ".aspx", ".css", ".do", ".action", ".xml", ".JSON", ".js", ".ico",
    ".php.de", ".x",
];
const INFOS: &[&str] =
    &["/x.css", "/", "/index", "/1", "/.css", "/2", "/a/b", "/index.php", "/x%20", "/~x"];
const FOLDERS: &[&str] = &[
    "/de",
    "/en-US",
    "/fr",
    "/pt_BR",
    "/x",
    "/index.php",
    "/app",
    "/de/x",
    "/DE",
    "/zh-Hant",
    "/a/b",
    "/index.php/de",
];
const UNDER: &[&str] = &[
    "",
    "/..",
    "/%2e%2e",
    "/..;",
    "\\..",
    "%2f..%2f",
    "/x/..%2f..",
    "/.%2e",
    "/..%00",
    "/...",
    "..",
    "%20/..",
    "/%c0%ae%c0%ae",
    "/..%5c",
    "/%252e%252e",
];
const METHODS: &[&str] = &[
    "HEAD", "POST", "GET", "PUT", "PATCH", "DELETE", "OPTIONS", "post", "Post", "TRACE", "PROPFIND",
];
const OVERRIDES: &[&str] = &[
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x_http_method_override",
    "x-http-method--override",
];
const RENAMING: &[&str] =
    &["x-original-url", "x-rewrite-url", "x_original_url", "x-original-uri", "x--original-url"];

impl Operator {
    pub fn apply(self, draft: &mut Draft) {
        let Self { kind, at, pick } = self;
        let of = |list: &[&'static str]| list[pick % list.len()];
        match kind {
            Kind::Case => {
                if let Some(place) = draft.letter(at) {
                    let letter = place.1;
                    let flipped = if letter.is_ascii_lowercase() {
                        letter.to_ascii_uppercase()
                    } else {
                        letter.to_ascii_lowercase()
                    };
                    draft.put(place, flipped.encode_utf8(&mut [0; 4]));
                }
            }
            Kind::AllCaps => draft.path.make_ascii_uppercase(),
            Kind::Escape | Kind::EscapeTwice => {
                let place = if pick.is_multiple_of(4) { draft.any(at) } else { draft.letter(at) };
                if let Some(place) = place {
                    let escaped = escaped(&place.1.to_string(), !pick.is_multiple_of(2));
                    let twice = kind == Kind::EscapeTwice;
                    let escaped = if twice { escaped.replace('%', "%25") } else { escaped };
                    draft.put(place, &escaped);
                }
            }
            Kind::EscapeU => {
                if let Some(place) = draft.any(at) {
                    draft.put(place, &format!("%u{:04x}", u32::from(place.1)));
                }
            }
            Kind::Overlong => {
                if let Some(place) = draft.any(at).filter(|(_, letter)| letter.is_ascii()) {
                    let code = u32::from(place.1);
                    let long = if pick.is_multiple_of(2) {
                        format!("%{:02x}%{:02x}", 0xc0 | code >> 6, 0x80 | code & 0x3f)
                    } else {
                        format!("%e0%{:02x}%{:02x}", 0x80 | code >> 6, 0x80 | code & 0x3f)
                    };
                    draft.put(place, &long);
                }
            }
            Kind::Compatible => {
                let place = if pick.is_multiple_of(8) { draft.any(at) } else { draft.letter(at) };
                if let Some(place) = place {
                    let relative = fold::compatibility_relative(place.1, pick);
                    draft.put(place, &raw_or_escaped(relative, pick));
                }
            }
            Kind::LookAlike => {
                if let Some(place) = draft.letter(at) {
                    let index = "acehijlopsuvxygn".find(place.1.to_ascii_lowercase());
                    let other = if pick.is_multiple_of(2) {
                        "асеһіјӏорѕυνхуɡп"
                    } else {
                        "αςεһιϳⅼοрσυνχγɡп"
                    };
                    if let Some(other) = index.and_then(|index| other.chars().nth(index)) {
                        draft.put(place, &raw_or_escaped(other, pick));
                    }
                }
            }
            Kind::Accent => {
                if let Some(place) = draft.letter(at)
                    && let Some(relative) = fold::relative(place.1, pick)
                {
                    draft.put(place, &raw_or_escaped(relative, pick));
                }
            }
            Kind::Mark | Kind::Invisible => {
                if let Some((place, letter)) = draft.letter(at) {
                    let marks: &[char] = match kind {
                        Kind::Mark => {
                            &['\u{308}', '\u{301}', '\u{327}', '\u{335}', '\u{20d2}', '\u{e9}']
                        }
                        _ => &[
                            '\u{ad}', '\u{200b}', '\u{200d}', '\u{feff}', '\u{2060}', '\u{fe0f}',
                            '\u{34f}', '\u{202e}',
                        ],
                    };
                    let mark = raw_or_escaped(marks[pick % marks.len()], pick / 8);
                    draft.path.insert_str(place + letter.len_utf8(), &mark);
                }
            }
            Kind::Insert => draft.insert_at_slash(at, of(INSERTED)),
            Kind::Trail => {
                // After any segment; most often after the last.
                let inner: Vec<usize> =
                    draft.path.match_indices('/').map(|(at, _)| at).skip(1).collect();
                let place =
                    inner.get(at % (inner.len() * 2 + 1)).copied().unwrap_or(draft.path.len());
                draft.path.insert_str(place, of(TRAILING));
            }
            Kind::ShortName => {
                let (folder, name) = draft.path.rsplit_once('/').unwrap_or(("", &draft.path));
                let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
                let head: String = stem.chars().take(6).collect();
                let ending: String = ending.chars().take(3).collect();
                let dot = if ending.is_empty() { "" } else { "." };
                draft.path = format!("{folder}/{head}~{}{dot}{ending}", 1 + at % 2);
            }
            Kind::Cookieless => draft.insert_at_slash(
                at,
                ["/(S(abc))", "/(A(x)F(y))", "/(X(1))", "/%28S%28a%29%29"][pick % 4],
            ),
            Kind::Ending => draft.path.push_str(of(ENDINGS)),
            Kind::PathInfo => draft.path.push_str(of(INFOS)),
            Kind::Folder => draft.path.insert_str(0, of(FOLDERS)),
            Kind::UnderPublic => {
                let public = ["/assets", "/open", "/Assets", "/assets/x"][at % 4];
                draft.path.insert_str(0, &format!("{public}{}", of(UNDER)));
            }
            Kind::Absolute => {
                let host = [
                    "https://HOST",
                    "http://HOST",
                    "https://HOST:443",
                    "https://u@HOST",
                    "HTTPS://HOST",
                    "//HOST",
                    "https://HOST/",
                ];
                draft.before = of(&host).to_owned();
            }
            Kind::Fragment => draft.after.push_str(["#x", "#/assets/", "%23"][pick % 3]),
            Kind::Question => {
                draft.path.push_str(["?x", "%3f", "?", "%3fx=/assets/", "??"][pick % 5])
            }
            Kind::Name => draft.change_pair(at, |name, value| {
                let caps = name.to_ascii_uppercase();
                let dotted = name.replace('_', ".");
                let first = name.chars().next().unwrap_or('x');
                let escaped = format!(
                    "{}{}",
                    escaped(&first.to_string(), false),
                    name.get(1..).unwrap_or_default()
                );
                let name = match pick % 18 {
                    0 => format!("{name}[]"),
                    1 => format!("{name}%5B%5D"),
                    2 => escaped,
                    3 => format!("{name}%00"),
                    4 => format!(" {name}").replace(' ', "%20"),
                    5 => format!("+{name}"),
                    6 => caps,
                    7 => format!("{name}[0]"),
                    8 => format!("{name}%00x"),
                    9 => dotted,
                    10 => format!(".{name}"),
                    11 => format!("{name}[x"),
                    12 => format!("%20{name}[a][b]"),
                    13 => name.replace('_', "["),
                    14 => name.replace('_', "+"),
                    15 => format!("{name}[$eq]"),
                    16 => {
                        format!("%u{:04x}{}", u32::from(first), name.get(1..).unwrap_or_default())
                    }
                    _ => format!("{name} "),
                };
                format!("{name}={value}")
            }),
            Kind::Value => draft.change_pair(at, |name, value| {
                let first = value.chars().next().unwrap_or('x');
                let rest = value.get(first.len_utf8()..).unwrap_or_default();
                let value = match pick % 14 {
                    0 => value.to_ascii_uppercase(),
                    1 => format!("{}{rest}", escaped(&first.to_string(), true)),
                    2 => format!("/{value}"),
                    3 => format!("{value}/"),
                    4 => format!("+{value}"),
                    5 => format!("{value}%20"),
                    6 => format!("{value},x"),
                    7 => format!("x,{value}"),
                    8 => format!("%u{:04x}{rest}", u32::from(first)),
                    9 => value.replace('o', "%C3%B3"),
                    10 => value.replace('l', "%C5%82"),
                    11 => format!("{value}%00"),
                    12 => value.replace('-', "+"),
                    _ => format!("de/{value}"),
                };
                format!("{name}={value}")
            }),
            Kind::Repeat => draft.change_pair(at, |name, value| match pick % 4 {
                0 => format!("{name}=home&{name}={value}"),
                1 => format!("{name}={value}&{name}=home"),
                2 => format!("{name}[]=home&{name}={value}"),
                _ => format!("{name}&{name}={value}"),
            }),
            Kind::Separator => draft.change_pair(at, |name, value| match pick % 5 {
                0 => format!("x;{name}={value}"),
                1 => format!("x=1;{name}={value}"),
                2 => format!("x=1&amp;{name}={value}"),
                3 => format!("&&{name}={value}"),
                _ => format!("?{name}={value}"),
            }),
            Kind::AsForm => {
                let Some(query) = draft.query.take() else { return };
                draft.method = "POST".to_owned();
                let (name, value) = query
                    .rsplit('&')
                    .next()
                    .and_then(|pair| pair.split_once('='))
                    .unwrap_or((&query, ""));
                (draft.content_type, draft.body) = match pick % 5 {
                    0 => (Some("application/x-www-form-urlencoded"), query.clone()),
                    1 => (Some("multipart/form-data; boundary=x"), multipart(name, value)),
                    2 => (Some("application/json"), format!("{{\"{name}\":\"{value}\"}}")),
                    3 => (Some("Application/X-WWW-Form-Urlencoded; charset=utf-7"), query.clone()),
                    _ => (None, query.clone()),
                };
            }
            Kind::AsQuery => {
                if draft.content_type == Some("application/x-www-form-urlencoded")
                    && !draft.body.is_empty()
                {
                    draft.query = Some(std::mem::take(&mut draft.body));
                    draft.content_type = None;
                }
            }
            Kind::Method => draft.method = of(METHODS).to_owned(),
            Kind::Override => {
                let method = ["PUT", "POST", "PATCH", "put"][at % 4];
                match pick % 8 {
                    0..=4 => draft.headers.push((of(OVERRIDES).to_owned(), method.to_owned())),
                    5 => draft.query = Some(format!("_method={method}")),
                    _ => {
                        draft.body = format!("{}&_method={method}", draft.body);
                        draft.content_type = Some("application/x-www-form-urlencoded");
                    }
                }
                if pick.is_multiple_of(2) || pick % 8 == 7 {
                    draft.method = "POST".to_owned();
                }
            }
            Kind::Rename => {
                let query =
                    draft.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
                draft.headers.push((of(RENAMING).to_owned(), format!("{}{query}", draft.path)));
                draft.path = ["/", "/assets/x", "/open/news"][at % 3].to_owned();
            }
            Kind::AsCookie => {
                if let Some((name, value)) = draft.last_pair() {
                    draft.headers.push(("cookie".to_owned(), format!("a=b; {name}={value}")));
                    draft.query = None;
                }
            }
            Kind::Sharp => {
                for (plain, sharp) in
                    [("ss", "%C3%9F"), ("ae", "%C3%A6"), ("fi", "%EF%AC%81"), ("ff", "%EF%AC%80")]
                {
                    draft.path = draft.path.replace(plain, sharp);
                }
            }
            Kind::NoEnding => {
                if let Some((bare, ending)) = draft.path.rsplit_once('.')
                    && !ending.contains('/')
                {
                    draft.path = bare.to_owned();
                }
            }
            Kind::Crlf => {
                draft.insert_at_slash(at, ["%0d%0a", "\t", "\u{85}", "%e2%80%a8"][pick % 4])
            }
        }
    }
}

fn escaped(text: &str, upper: bool) -> String {
    let escape = |byte: u8| if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") };
    text.bytes().map(escape).collect()
}

/// Escaped, but for one in sixteen.
fn raw_or_escaped(letter: char, pick: usize) -> String {
    if pick % 16 == 15 {
        letter.to_string()
    } else {
        escaped(&letter.to_string(), pick.is_multiple_of(2))
    }
}

fn multipart(name: &str, value: &str) -> String {
    format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n--x--\r\n")
}

/// A sequence without a library: one number in, well mixed numbers out (SplitMix64).
pub struct Numbers(u64);

impl Numbers {
    pub const fn of(case: u64) -> Self {
        Self(case.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ mixed >> 31) >> 16).unwrap_or(0) % end.max(1)
    }
}

/// A numbered case.
pub struct Case {
    pub portal: &'static Portal,
    pub seed: &'static Seed,
    pub operators: Vec<Operator>,
    pub is_signed_in: bool,
}

impl Case {
    pub fn of(number: u64) -> Self {
        let mut numbers = Numbers::of(number);
        let portal = &PORTALS[numbers.below(PORTALS.len())];
        let seed = &portal.seeds[numbers.below(portal.seeds.len())];
        let operators = (0..=numbers.below(6)).map(|_| Operator {
            kind: KINDS[numbers.below(KINDS.len())],
            at: numbers.below(1 << 12),
            pick: numbers.below(1 << 12),
        });
        let operators = operators.collect();
        Self { portal, seed, operators, is_signed_in: numbers.below(3) > 0 }
    }

    /// A case from a fuzzer's bytes: the seed, then five bytes for each operator.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&[portal, seed, session], rest) = bytes.split_first_chunk()?;
        let portal = &PORTALS[usize::from(portal) % PORTALS.len()];
        let seed = &portal.seeds[usize::from(seed) % portal.seeds.len()];
        let operators = rest.chunks_exact(5).take(8).map(|five| Operator {
            kind: KINDS[usize::from(five[0]) % KINDS.len()],
            at: usize::from(u16::from_le_bytes([five[1], five[2]])),
            pick: usize::from(u16::from_le_bytes([five[3], five[4]])),
        });
        let operators = operators.collect();
        Some(Self { portal, seed, operators, is_signed_in: session & 1 == 1 })
    }

    pub fn request(&self) -> Request {
        let mut draft = Draft::of(self.seed);
        for operator in &self.operators {
            operator.apply(&mut draft);
        }
        draft.before = draft.before.replace("HOST", self.portal.host);
        draft.request()
    }

    pub fn breach(&self) -> (Option<Breach>, bool) {
        breach(self.portal, &self.request(), self.is_signed_in)
    }

    /// Leaves out what a failure does not need, and takes the first pick that keeps it.
    pub fn shrink(&mut self) -> Option<Breach> {
        let mut found = self.breach().0?;
        let mut index = 0;
        while index < self.operators.len() {
            let removed = self.operators.remove(index);
            match self.breach().0 {
                Some(breach) => {
                    found = breach;
                    index = 0;
                }
                None => {
                    self.operators.insert(index, removed);
                    index += 1;
                }
            }
        }
        for index in 0..self.operators.len() {
            for part in [0, 1] {
                let kept = self.operators[index];
                for smaller in 0..48 {
                    let smaller_one = match part {
                        0 => Operator { at: smaller, ..kept },
                        _ => Operator { pick: smaller, ..kept },
                    };
                    self.operators[index] = smaller_one;
                    if let Some(breach) = self.breach().0 {
                        found = breach;
                        break;
                    }
                    self.operators[index] = kept;
                }
            }
        }
        Some(found)
    }

    /// Whether a failure is one that we know of: the line of `open.txt` with the most operators
    /// that this case has, too.
    pub fn known_hole(&self, breach: &Breach) -> Option<&'static str> {
        let kinds: Vec<String> =
            self.operators.iter().map(|one| format!("{:?}", one.kind)).collect();
        let handler = self.handler(breach);
        let of_handler = open_holes().filter_map(|line| {
            let (of, wanted) = line.trim_end_matches(RARE).split_once(" by")?;
            let wanted: Vec<&str> = wanted.split_whitespace().collect();
            let has_all = wanted.iter().all(|wanted| kinds.iter().any(|kind| kind == wanted));
            (of == handler && has_all).then_some((wanted.len(), line))
        });
        of_handler.max_by_key(|(count, _)| *count).map(|(_, line)| line)
    }

    /// What is reached.
    pub fn handler(&self, breach: &Breach) -> String {
        format!("{}: {}", self.portal.host.trim_end_matches(".example"), breach.handler)
    }

    /// A failure for people, and for the next run.
    pub fn report(&self, breach: &Breach) -> String {
        let request = self.request();
        let mut kinds: Vec<String> =
            self.operators.iter().map(|one| format!("{:?}", one.kind)).collect();
        kinds.sort();
        kinds.dedup();
        let signed_in = if self.is_signed_in { "a member" } else { "a stranger" };
        format!(
            "{} by {}\n    {signed_in} reaches it in «{}» with {} {}\n    {:?} {:?}\n    {:?}",
            self.handler(breach),
            kinds.join(" "),
            breach.model,
            request.method,
            String::from_utf8_lossy(&request.target),
            request.headers,
            String::from_utf8_lossy(&request.body),
            self.operators,
        )
    }
}

/// Ends the line of a hole that takes more than the default number of cases to find.
pub const RARE: &str = " (rare)";

/// The lines of `open.txt`.
pub fn open_holes() -> impl Iterator<Item = &'static str> {
    include_str!("open.txt")
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}
