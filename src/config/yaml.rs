//! Text to a tree in which every key and value has its line and column. The only file that names
//! the YAML reader, of which it uses the event parser: serde would stop at the first problem.
//!
//! Deliberately not read: anchors, aliases, merge keys and tags (a small file cannot become a
//! large one, and what is written at a place is what holds there), and more than one document.
//! Nothing here has a `Debug`: any text may be a secret.

use serde_yaml::granit_parser::{Event, Marker, Parser, ScalarStyle, Span, options};

/// The largest file that is read, in bytes.
pub(super) const LARGEST: usize = 1024 * 1024;

/// How deep sections and lists may be nested; a configuration has 6 levels.
const DEEPEST: usize = 24;

/// Where something begins: line and column, from 1.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A value and where it begins.
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What stands at a place.
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Text, a number, a word: what it means is for its reader to say.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// A section.
    Map(Vec<Entry>),
    /// Something that was already reported.
    Refused,
}

/// A key and its value.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) node: Node,
}

/// A fault of the text itself.
pub(super) struct Fault {
    pub(super) place: Place,
    pub(super) message: String,
}

/// Reads `text` as one document, or says why not. Faults may come with a tree: those that leave
/// the rest readable.
pub(super) fn read(text: &str) -> (Option<Node>, Vec<Fault>) {
    let mut builder = Builder::default();
    let options = options! {
        strict_indentation: true,
        disallow_directives: true,
        emit_unresolved_aliases: true,
        emit_comments: false,
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
    };
    for next in Parser::new_from_str_with_options(text, options) {
        match next {
            Ok((event, span)) => builder.take(&event, span),
            Err(error) => {
                let message = format!("this is not YAML: {}", error.kind());
                builder.fault(place(*error.marker()), message);
                return (None, builder.faults);
            }
        }
    }
    (builder.root, builder.faults)
}

fn place(marker: Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}

/// A section or list that has begun and not ended.
enum Open {
    List(Place, Vec<Node>),
    Map(Place, Vec<Entry>, Pending),
}

/// What a section waits for.
enum Pending {
    Key,
    Value(String, Place),
    /// The value of a key that was reported.
    Skipped,
}

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    faults: Vec<Fault>,
    documents: usize,
}

impl Builder {
    fn fault(&mut self, place: Place, message: impl Into<String>) {
        let message = message.into();
        self.faults.push(Fault { place, message });
    }

    fn take(&mut self, event: &Event<'_>, span: Span) {
        let place = place(span.start);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents == 2 {
                    self.fault(place, "there is a second document; write everything in one");
                }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let message = "aliases are not read here: write the value out, and put quotes \
                               around one that begins with `*`";
                self.fault(place, message);
                self.add(Node { place, value: Value::Refused });
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.check_properties(place, *anchor, tag.is_some());
                let is_null = *style == ScalarStyle::Plain
                    && matches!(&**text, "" | "~" | "null" | "Null" | "NULL");
                let value =
                    if is_null { Value::Null } else { Value::Scalar(text.clone().into_owned()) };
                self.add(Node { place, value });
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.check_properties(place, *anchor, tag.is_some());
                self.open.push(Open::List(place, Vec::new()));
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_properties(place, *anchor, tag.is_some());
                self.open.push(Open::Map(place, Vec::new(), Pending::Key));
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(place, items)) => {
                    self.add(Node { place, value: Value::List(items) })
                }
                Some(Open::Map(place, entries, _)) => {
                    self.add(Node { place, value: Value::Map(entries) })
                }
                None => {}
            },
            // Nothing else carries a value.
            _ => {}
        }
    }

    fn check_properties(&mut self, place: Place, anchor: usize, has_tag: bool) {
        if anchor != 0 {
            let message = "anchors are not read here: write the value out, and put quotes around \
                           one that begins with `&`";
            self.fault(place, message);
        }
        if has_tag {
            let message = "tags are not read here: put quotes around a value that begins with `!`";
            self.fault(place, message);
        }
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node) {
        match self.open.last_mut() {
            None => {
                if self.root.is_none() {
                    self.root = Some(node);
                }
            }
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map(_, entries, pending)) => {
                match std::mem::replace(pending, Pending::Key) {
                    Pending::Key => match accepted_key(node, entries) {
                        Ok((key, place)) => *pending = Pending::Value(key, place),
                        Err(fault) => {
                            *pending = Pending::Skipped;
                            self.faults.push(fault);
                        }
                    },
                    Pending::Value(key, place) => entries.push(Entry { key, place, node }),
                    Pending::Skipped => {}
                }
            }
        }
    }
}

/// A key is text, and stands once in its section.
fn accepted_key(node: Node, entries: &[Entry]) -> Result<(String, Place), Fault> {
    let place = node.place;
    let fault = |message: String| Fault { place, message };
    match node.value {
        Value::Scalar(key) if key == "<<" => {
            Err(fault("merge keys are not read here: write the values out".to_owned()))
        }
        Value::Scalar(key) => match entries.iter().find(|entry| entry.key == key) {
            Some(earlier) => Err(fault(format!(
                "this key stands a second time in its section; the first is at line {}",
                earlier.place.line
            ))),
            None => Ok((key, place)),
        },
        Value::Null | Value::List(_) | Value::Map(_) | Value::Refused => {
            Err(fault("a key is a plain word".to_owned()))
        }
    }
}
