//! What holds, as JSON: one object a key, by the path that problems name it with.

use serde_json::{Value, json};

use super::{Effective, Form, Origin, Shown, Single};

impl Effective {
    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut keys = Vec::new();
        section("", &self.keys, &mut keys);
        format!("{:#}", json!({ "file": self.file, "keys": keys }))
    }
}

fn section(above: &str, keys: &[(String, Shown)], into: &mut Vec<Value>) {
    for (name, shown) in keys {
        let path = match above {
            "" => name.clone(),
            above => format!("{above}.{name}"),
        };
        add(&path, shown, into);
    }
}

fn add(path: &str, shown: &Shown, into: &mut Vec<Value>) {
    match shown {
        Shown::Section(keys) => section(path, keys, into),
        Shown::List(items) => {
            for (index, item) in items.iter().enumerate() {
                add(&format!("{path}[{index}]"), item, into);
            }
        }
        Shown::Value(single) => into.push(self::single(path, single)),
        Shown::Nothing(_) => into.push(json!({ "key": path, "value": null, "from": "nothing" })),
    }
}

fn single(path: &str, single: &Single) -> Value {
    let text = &single.text;
    let value = match single.form {
        Form::Text => json!(text),
        Form::Number => text.parse::<u64>().map_or_else(|_| json!(text), |number| json!(number)),
        Form::Truth => json!(text == "true"),
    };
    let mut made = match &single.origin {
        Origin::Default => json!({ "from": "default" }),
        Origin::File { line, column } => json!({ "from": "file", "line": line, "column": column }),
        Origin::Variables { names, line, column } => {
            json!({ "from": "environment", "variables": names, "line": line, "column": column })
        }
    };
    if let Value::Object(made) = &mut made {
        made.insert("key".to_owned(), json!(path));
        made.insert("value".to_owned(), value);
        if single.is_masked {
            made.insert("masked".to_owned(), json!(true));
        }
    }
    made
}
