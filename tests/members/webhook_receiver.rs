//! The other side of the webhook, as an operator would write it: it believes a signature, looks for
//! a member before it creates one, and repeats by a request's id only how it let somebody in, for as
//! long as they are a member.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::SECRET;
use crate::server::{Asked, Reply, serve};

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This comes back, and nothing is done.
    Instead(Reply),
    /// It is done, and this comes back.
    After(Reply),
    /// It is done, and answered only after that long.
    Late(Duration),
}

#[derive(Default)]
pub struct State {
    /// Who is a member, with the claims that are said of them.
    pub members: BTreeMap<String, Value>,
    /// How often somebody was created or linked.
    pub created: usize,
    pub linked: usize,
    /// All requests, in order.
    pub asked: Vec<Asked>,
    /// What happens to the next ones.
    pub faults: VecDeque<Fault>,
    /// What happens to the next ones that change something.
    pub write_faults: VecDeque<Fault>,
    /// What is answered to a lookup of somebody who is no member.
    pub unknown: Option<Value>,
    /// What is answered to whoever is to be created.
    pub on_create: Option<Value>,
    answered: BTreeMap<String, Value>,
}

#[derive(Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    pub state: Arc<Mutex<State>>,
}

impl Receiver {
    pub async fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let kept = Arc::clone(&state);
        let address = serve(move |asked| kept.lock().unwrap().answer(asked)).await;
        Self { address, state }
    }

    pub fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.with(|state| state.faults.extend(faults));
    }

    pub fn fail_to_write(&self, faults: impl IntoIterator<Item = Fault>) {
        self.with(|state| state.write_faults.extend(faults));
    }

    /// What was asked, in order.
    pub fn asks(&self) -> Vec<String> {
        let ask = |asked: &Asked| asked.json()["data"]["ask"].as_str().unwrap().to_owned();
        self.with(|state| state.asked.iter().map(ask).collect())
    }

    pub fn last(&self) -> Asked {
        self.with(|state| state.asked.last().cloned().unwrap())
    }
}

impl State {
    fn answer(&mut self, asked: Asked) -> Reply {
        assert_eq!((&*asked.method, &*asked.target), ("POST", "/hooks/sign-in?for=club"));
        assert_eq!(asked.header("content-type"), Some("application/json"));
        let id = asked.header("webhook-id").unwrap().to_owned();
        assert_eq!(asked.header("idempotency-key"), Some(&*id));
        if !is_signed(&asked) {
            return Reply::Json(401, json!({}));
        }
        self.asked.push(asked.clone());
        let is_write = asked.json()["data"]["ask"] != "lookup";
        let fault = match is_write {
            true => self.write_faults.pop_front().or_else(|| self.faults.pop_front()),
            false => self.faults.pop_front(),
        };
        if let Some(Fault::Instead(reply)) = fault {
            return reply;
        }
        let event = asked.json();
        // It is forgotten with the account.
        if !self.members.contains_key(event["data"]["member"].as_str().unwrap()) {
            self.answered.remove(&id);
        }
        let answer = match self.answered.get(&id) {
            // Delivered once more.
            Some(answer) => answer.clone(),
            None => {
                let answer = self.judge(&event);
                if is_write && answer["decision"] == "admit" {
                    self.answered.insert(id, answer.clone());
                }
                answer
            }
        };
        match fault {
            Some(Fault::After(reply)) => reply,
            Some(Fault::Late(time)) => Reply::Late(time, Box::new(Reply::Json(200, answer))),
            Some(Fault::Instead(_)) | None => Reply::Json(200, answer),
        }
    }

    fn judge(&mut self, event: &Value) -> Value {
        assert_eq!(event["type"], "member.login");
        let data = &event["data"];
        let member = data["member"].as_str().unwrap();
        let claims = self.members.get(member).cloned();
        match (data["ask"].as_str().unwrap(), claims) {
            ("lookup", Some(claims)) => json!({ "decision": "admit", "claims": claims }),
            ("lookup", None) => {
                self.unknown.clone().unwrap_or_else(|| json!({ "decision": "unknown" }))
            }
            (_, Some(claims)) => {
                json!({ "decision": "admit", "created": false, "claims": claims })
            }
            (ask, None) => {
                if let Some(answer) = &self.on_create {
                    return answer.clone();
                }
                match ask {
                    "link" => self.linked += 1,
                    _ => self.created += 1,
                }
                let claims = json!({ "member_number": 10_442, "paid": true });
                self.members.insert(member.to_owned(), claims.clone());
                json!({ "decision": "admit", "created": true, "claims": claims })
            }
        }
    }
}

/// The specification of Standard Webhooks, once more.
fn is_signed(asked: &Asked) -> bool {
    let part = |name| asked.header(name).unwrap();
    let mut signed = format!("{}.{}.", part("webhook-id"), part("webhook-timestamp")).into_bytes();
    signed.extend(&asked.body);
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    let signature = part("webhook-signature").strip_prefix("v1,").unwrap();
    hmac::verify(&key, &signed, &STANDARD.decode(signature).unwrap()).is_ok()
}
