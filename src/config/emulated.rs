//! An operator's configuration with its providers of Microsoft's pointed at an emulator, and its
//! sessions kept in memory. It is written out anew from the tree, so comments go; all else stays as
//! it is, variables of the environment included.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::yaml::{Entry, Node, Place, Value};
use super::{Context, Problems, read, written};

/// The kinds that are Microsoft's.
const KINDS: [&str; 3] = ["entra_id", "azure_ad_b2c", "external_id"];
/// Where sessions are kept, and what makes others believe them.
const KEPT: [&str; 4] = ["store", "keys", "snapshot", "redis"];
/// Where a value is that nobody wrote.
const NOWHERE: Place = Place { line: 1, column: 1 };

/// The text of the configuration at `path` with `authority` in place of each of Microsoft's login
/// hosts, `ca` in place of the certificates that those are trusted by, and no keys or store of
/// sessions, no `signing`, no `members`, and new secrets in place of those that portals share: whom
/// an emulator signs in must be nobody to the real configuration, nor to its portals and their
/// directory (CFG-05). It listens on this machine alone, for its passwords are known to all, and
/// behind it is the portal that was configured; `listen` is where the configuration listens, with
/// what variables say now, which others may not say where the file is used.
///
/// # Errors
/// All problems, if it cannot be read.
pub fn emulated(
    path: &Path,
    authority: &str,
    ca: Option<&str>,
    listen: SocketAddr,
) -> Result<String, Problems> {
    let (name, text) = read(path)?;
    let context = Context::new(&name, &|_| None);
    let Some(mut root) = written(&context, &text) else {
        return Err(context.done());
    };
    let mut keys = entries(&mut root).into_iter().flatten();
    let sessions = keys.find(|entry| entry.key == "sessions");
    if let Some(keys) = sessions.and_then(|entry| entries(&mut entry.node)) {
        keys.retain(|entry| !KEPT.contains(&&*entry.key));
    }
    if let Some(keys) = entries(&mut root) {
        keys.retain(|entry| entry.key != "signing");
        let listen_entry = keys.iter_mut().find(|entry| entry.key == "listen");
        listen_entry.into_iter().for_each(|entry| listen_here(entry, listen));
    }
    let mut keys = entries(&mut root).into_iter().flatten();
    if let Some(Value::List(portals)) =
        keys.find(|entry| entry.key == "portals").map(|entry| &mut entry.node.value)
    {
        for keys in portals.iter_mut().filter_map(entries) {
            keys.retain(|entry| entry.key != "members");
            let identity = keys.iter_mut().find(|entry| entry.key == "identity");
            identity.into_iter().for_each(renew_secrets);
        }
    }
    let mut keys = entries(&mut root).into_iter().flatten();
    let providers = keys.find(|entry| entry.key == "providers");
    let providers = providers.and_then(|entry| entries(&mut entry.node));
    for keys in providers.into_iter().flatten().filter_map(|one| entries(&mut one.node)) {
        let is_microsofts = keys.iter().any(|entry| {
            entry.key == "kind"
                && matches!(&entry.node.value, Value::Scalar(kind) if KINDS.contains(&&**kind))
        });
        if is_microsofts {
            keys.retain(|entry| entry.key != "authority" && entry.key != "ca");
            keys.push(entry("authority", scalar(authority)));
            // Where it may be said; else a token of the emulator's would go to the real one.
            let has_graph = |kind: &str| matches!(kind, "entra_id" | "external_id");
            let asks = keys.iter().any(|entry| {
                entry.key == "kind"
                    && matches!(&entry.node.value, Value::Scalar(kind) if has_graph(kind))
            });
            if asks {
                keys.retain(|entry| entry.key != "graph");
                keys.push(entry("graph", scalar(&format!("{authority}/graph"))));
            }
            keys.extend(ca.map(|ca| entry("ca", Value::List(vec![node(scalar(ca))]))));
            point_identities(keys, authority);
        }
    }
    let mut text = String::new();
    write(&mut text, &root, 0);
    text.push('\n');
    Ok(text)
}

/// Keeps the port, and takes others the way to it.
fn listen_here(section: &mut Entry, listen: SocketAddr) {
    let here = match listen.ip().is_loopback() {
        true => listen,
        false => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), listen.port()),
    };
    let keys = entries(&mut section.node).into_iter().flatten();
    for address in keys.filter(|entry| entry.key == "address") {
        address.node = node(scalar(&here.to_string()));
    }
}

/// Gives the assertion and the signature another secret each, where they have one.
fn renew_secrets(identity: &mut Entry) {
    let made = entries(&mut identity.node).into_iter().flatten();
    let made = made.filter(|entry| matches!(&*entry.key, "assertion" | "signature"));
    let secrets = made.filter_map(|entry| entries(&mut entry.node)).flatten();
    for secret in secrets.filter(|entry| entry.key == "secret") {
        // If there is no randomness the key has no value, and nothing starts with that.
        let mut bytes = [0; 32];
        let value = match aws_lc_rs::rand::fill(&mut bytes) {
            Ok(()) => scalar(&STANDARD.encode(bytes)),
            Err(_) => Value::Null,
        };
        secret.node = node(Value::Map(vec![entry("value", value)]));
    }
}

/// Has managed identities ask the emulator as well: the machine's own service would give a token
/// that is good for somebody.
fn point_identities(provider: &mut [Entry], authority: &str) {
    let credentials = provider.iter_mut().find(|entry| entry.key == "credentials");
    let Some(Value::List(credentials)) = credentials.map(|entry| &mut entry.node.value) else {
        return;
    };
    let keys = credentials.iter_mut().filter_map(entries).flatten();
    let identities = keys.filter(|entry| entry.key == "managed_identity");
    for keys in identities.filter_map(|entry| entries(&mut entry.node)) {
        keys.retain(|entry| entry.key != "endpoint");
        keys.push(entry("endpoint", scalar(authority)));
    }
}

fn entries(node: &mut Node) -> Option<&mut Vec<Entry>> {
    match &mut node.value {
        Value::Map(entries) => Some(entries),
        _ => None,
    }
}

fn entry(key: &str, value: Value) -> Entry {
    Entry { key: key.to_owned(), place: NOWHERE, node: node(value) }
}

fn node(value: Value) -> Node {
    Node { place: NOWHERE, value }
}

fn scalar(text: &str) -> Value {
    Value::Scalar(text.to_owned())
}

/// Every text in quotes: what it means is for its reader to say, as it was before.
fn write(text: &mut String, node: &Node, depth: usize) {
    match &node.value {
        Value::Null | Value::Refused => text.push_str("null"),
        Value::Scalar(scalar) => text.push_str(&quoted(scalar)),
        Value::List(items) => {
            let items = items.iter().map(|item| (None, item));
            write_all(text, ('[', ']'), items, depth);
        }
        Value::Map(entries) => {
            let entries = entries.iter().map(|entry| (Some(&*entry.key), &entry.node));
            write_all(text, ('{', '}'), entries, depth);
        }
    }
}

fn write_all<'n>(
    text: &mut String,
    (open, close): (char, char),
    nodes: impl Iterator<Item = (Option<&'n str>, &'n Node)>,
    depth: usize,
) {
    text.push(open);
    for (index, (key, node)) in nodes.enumerate() {
        text.push_str(if index == 0 { "\n" } else { ",\n" });
        text.extend(std::iter::repeat_n("  ", depth + 1));
        if let Some(key) = key {
            text.push_str(&quoted(key));
            text.push_str(": ");
        }
        write(text, node, depth + 1);
    }
    text.push(close);
}

/// A string of JSON, which YAML reads as it is.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
