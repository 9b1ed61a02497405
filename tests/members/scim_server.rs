//! A small SCIM 2.0 server that checks every request against the standard (RFC 7643, RFC 7644), and
//! answers 400 to what is not of it, with what is wrong kept for the test.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

use crate::TOKEN;
use crate::server::{Asked, Reply, serve};
use crate::webhook_receiver::Fault;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

type Meanwhile = fn(&mut Vec<Map<String, Value>>);

#[derive(Default)]
pub struct State {
    pub users: Vec<Map<String, Value>>,
    /// What was against the standard.
    pub objections: Vec<String>,
    /// Methods and targets, decoded, in order.
    pub asked: Vec<(String, String)>,
    pub last: Option<Asked>,
    pub faults: VecDeque<Fault>,
    /// What happens to the next ones that change something.
    pub write_faults: VecDeque<Fault>,
    /// Whether it knows versions.
    pub has_versions: bool,
    /// Whether it answers 204 to a change.
    pub is_silent: bool,
    /// Whether new accounts wait for somebody.
    pub makes_inactive: bool,
    /// What is done to the users before the next change is looked at: somebody else was faster.
    pub meanwhile: Option<Meanwhile>,
    next: usize,
}

#[derive(Clone)]
pub struct ScimServer {
    pub address: SocketAddr,
    pub state: Arc<Mutex<State>>,
}

impl ScimServer {
    pub async fn start() -> Self {
        let state = Arc::new(Mutex::new(State { has_versions: true, ..State::default() }));
        let kept = Arc::clone(&state);
        let address = serve(move |asked| kept.lock().unwrap().answer(asked)).await;
        Self { address, state }
    }

    pub fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    /// Somebody who is there already.
    pub fn add(&self, user: &Value) -> String {
        self.with(|state| {
            let id = state.id();
            let mut user = user.as_object().unwrap().clone();
            user.insert("id".into(), id.clone().into());
            user.entry("schemas").or_insert_with(|| json!([USER]));
            user.insert("meta".into(), json!({ "resourceType": "User", "version": "W/\"1\"" }));
            state.users.push(user);
            id
        })
    }

    pub fn users(&self) -> Vec<Map<String, Value>> {
        self.with(|state| state.users.clone())
    }

    /// Methods alone, in order.
    pub fn methods(&self) -> Vec<String> {
        self.with(|state| state.asked.iter().map(|(method, _)| method.clone()).collect())
    }

    pub fn assert_standard(&self) {
        assert_eq!(self.with(|state| state.objections.clone()), Vec::<String>::new());
    }
}

impl State {
    fn id(&mut self) -> String {
        self.next += 1;
        // An id is the server's to choose, and becomes a segment of a path.
        format!("id/{} ä?", self.next)
    }

    fn answer(&mut self, asked: Asked) -> Reply {
        self.last = Some(asked.clone());
        let target = decoded(&asked.target);
        self.asked.push((asked.method.clone(), target));
        if asked.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return error(401, None, "who are you");
        }
        if !asked.header("accept").unwrap_or_default().contains("application/scim+json") {
            self.objections.push("no SCIM media type is accepted".into());
        }
        let is_write = asked.method != "GET";
        if is_write && asked.header("content-type") != Some("application/scim+json") {
            self.objections.push("the media type is not application/scim+json".into());
        }
        let fault = match is_write {
            true => self.write_faults.pop_front().or_else(|| self.faults.pop_front()),
            false => self.faults.pop_front(),
        };
        if is_write && let Some(meanwhile) = self.meanwhile.take() {
            meanwhile(&mut self.users);
        }
        if let Some(Fault::Instead(reply)) = fault {
            return reply;
        }
        let reply = match self.done(&asked) {
            Ok(reply) => reply,
            Err(objection) => {
                self.objections.push(objection.clone());
                error(400, Some("invalidSyntax"), &objection)
            }
        };
        match fault {
            Some(Fault::After(instead)) => instead,
            Some(Fault::Late(time)) => Reply::Late(time, Box::new(reply)),
            Some(Fault::Instead(_)) | None => reply,
        }
    }

    fn done(&mut self, asked: &Asked) -> Result<Reply, String> {
        let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
        let segments: Vec<String> = path.split('/').map(decoded).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match (&*asked.method, &*segments) {
            ("GET", ["", "scim", "v2", "Users"]) => self.list(query),
            ("GET", ["", "scim", "v2", "Users", id]) => {
                let found = self.users.iter().find(|user| user["id"] == *id);
                Ok(match found {
                    Some(user) => Reply::Json(200, user.clone().into()),
                    None => error(404, None, "nobody"),
                })
            }
            ("POST", ["", "scim", "v2", "Users"]) => self.create(&asked.json()),
            ("PATCH", ["", "scim", "v2", "Users", id]) => {
                self.patch(id, asked.header("if-match"), &asked.json())
            }
            other => Err(format!("nothing is at {other:?}")),
        }
    }

    fn list(&self, query: &str) -> Result<Reply, String> {
        let pairs: Vec<(String, String)> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect();
        let get = |name: &str| {
            pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
        };
        let (attribute, wanted) = filter(get("filter").ok_or("no filter")?)?;
        let count: usize = get("count").ok_or("no count")?.parse().map_err(|_| "count")?;
        let found: Vec<&Map<String, Value>> =
            self.users.iter().filter(|user| matches(user, &attribute, &wanted)).collect();
        Ok(Reply::Json(
            200,
            json!({
                "schemas": [LIST],
                "totalResults": found.len(),
                "itemsPerPage": found.len().min(count),
                "startIndex": 1,
                "Resources": found.iter().take(count).collect::<Vec<_>>(),
            }),
        ))
    }

    fn create(&mut self, body: &Value) -> Result<Reply, String> {
        let user = body.as_object().ok_or("no object")?;
        let schemas = user.get("schemas").and_then(Value::as_array).ok_or("no schemas")?;
        let known = [USER, ENTERPRISE];
        if !schemas.contains(&json!(USER))
            || !schemas.iter().all(|one| known.contains(&one.as_str().unwrap()))
        {
            return Err(format!("schemas: {schemas:?}"));
        }
        check_attributes(user, schemas)?;
        let name = user.get("userName").and_then(Value::as_str).filter(|name| !name.is_empty());
        let name = name.ok_or("userName is required")?;
        // RFC 7643, section 4.1.1: unique, in any case.
        let is_taken = |user: &Map<String, Value>| {
            user["userName"].as_str().unwrap().eq_ignore_ascii_case(name)
        };
        if self.users.iter().any(is_taken) {
            return Ok(error(409, Some("uniqueness"), &format!("{name} is taken")));
        }
        let mut user = user.clone();
        let id = self.id();
        user.insert("id".into(), id.into());
        user.insert("meta".into(), json!({ "resourceType": "User", "version": "W/\"1\"" }));
        if self.makes_inactive {
            user.insert("active".into(), false.into());
        }
        self.users.push(user.clone());
        Ok(match self.is_silent {
            true => Reply::Raw(201, vec![]),
            false => Reply::Json(201, user.into()),
        })
    }

    fn patch(&mut self, id: &str, version: Option<&str>, body: &Value) -> Result<Reply, String> {
        if body["schemas"] != json!([PATCH]) {
            return Err(format!("schemas: {}", body["schemas"]));
        }
        let (has_versions, is_silent) = (self.has_versions, self.is_silent);
        let Some(user) = self.users.iter_mut().find(|user| user["id"] == id) else {
            return Ok(error(404, None, "nobody"));
        };
        if has_versions {
            let known = user["meta"]["version"].as_str().unwrap().to_owned();
            match version {
                None => return Err("no If-Match, though there is a version".into()),
                Some(version) if version != known => return Ok(error(412, None, "changed")),
                Some(_) => {}
            }
            user["meta"]["version"] = json!(format!("{known}+"));
        }
        let operations = body["Operations"].as_array().filter(|all| !all.is_empty());
        for operation in operations.ok_or("no Operations")? {
            let op = operation["op"].as_str().ok_or("no op")?;
            if !matches!(op, "add" | "replace" | "remove") {
                return Err(format!("op {op}"));
            }
            let path = operation["path"].as_str().ok_or("no path")?;
            let value = operation.get("value").ok_or("no value")?.clone();
            if path.starts_with("id") || path.starts_with("meta") || path == "active" {
                return Err(format!("{path} is not for us to write"));
            }
            match path
                .strip_prefix(&format!("{ENTERPRISE}:"))
                .map(|name| (ENTERPRISE, name))
                .or(path.split_once('.'))
            {
                Some((outer, name)) => {
                    let inner = user.entry(outer).or_insert_with(|| json!({}));
                    inner[name] = value;
                }
                // RFC 7644, section 3.5.2.1: what is added to a list joins what is there.
                None => match (op, value, user.get_mut(path)) {
                    ("add", Value::Array(more), Some(Value::Array(all))) => all.extend(more),
                    (_, value, _) => {
                        user.insert(path.to_owned(), value);
                    }
                },
            }
        }
        let user = user.clone();
        let schemas = [json!(USER), json!(ENTERPRISE)];
        check_attributes(&user, &schemas)?;
        Ok(match is_silent {
            true => Reply::Raw(204, vec![]),
            false => Reply::Json(200, user.into()),
        })
    }
}

/// RFC 7643, section 4.1: each attribute has the type that it has.
fn check_attributes(user: &Map<String, Value>, schemas: &[Value]) -> Result<(), String> {
    for (name, value) in user {
        let fits = match name.as_str() {
            "userName" | "displayName" | "nickName" | "profileUrl" | "title" | "userType"
            | "preferredLanguage" | "locale" | "timezone" | "externalId" | "id" => {
                value.is_string()
            }
            "active" => value.is_boolean(),
            "schemas" => value.is_array(),
            "meta" => value.is_object(),
            "name" => value.as_object().is_some_and(|name| name.values().all(Value::is_string)),
            "emails" | "phoneNumbers" => value.as_array().is_some_and(|all| {
                all.iter().all(|one| one["value"].is_string())
                    && all.iter().filter(|one| one["primary"] == true).count() <= 1
            }),
            ENTERPRISE => schemas.contains(&json!(ENTERPRISE)) && value.is_object(),
            _ => false,
        };
        if !fits {
            return Err(format!("{name}: {value}"));
        }
    }
    Ok(())
}

/// `attribute eq "JSON"` (RFC 7644, section 3.4.2.2).
fn filter(text: &str) -> Result<(String, String), String> {
    let (attribute, value) = text.split_once(" eq ").ok_or_else(|| format!("filter: {text}"))?;
    let value: String = serde_json::from_str(value).map_err(|_| format!("filter: {text}"))?;
    match attribute {
        "externalId" | "userName" | "emails.value" => Ok((attribute.to_owned(), value)),
        _ => Err(format!("filter: {text}")),
    }
}

fn matches(user: &Map<String, Value>, attribute: &str, wanted: &str) -> bool {
    match attribute {
        // RFC 7643: `caseExact` is true of one, and false of the others.
        "externalId" => user.get("externalId") == Some(&json!(wanted)),
        "userName" => user["userName"].as_str().unwrap().eq_ignore_ascii_case(wanted),
        _ => user.get("emails").and_then(Value::as_array).is_some_and(|emails| {
            let is = |email: &Value| email["value"].as_str().unwrap().eq_ignore_ascii_case(wanted);
            emails.iter().any(is)
        }),
    }
}

pub fn error(status: u16, kind: Option<&str>, detail: &str) -> Reply {
    let mut body = json!({ "schemas": [ERROR], "status": status.to_string(), "detail": detail });
    if let Some(kind) = kind {
        body["scimType"] = kind.into();
    }
    Reply::Json(status, body)
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}
