//! Which node of a Cluster has a key (Redis Cluster specification, "Key distribution model" and
//! "Hash tags"). Deliberately not here: connections.

use redis::Value;

/// How many slots there are.
pub(super) const SLOTS: u16 = 16_384;

/// The slot of a key: of what stands between its first `{` and the next `}`, if that is not empty.
pub(super) fn slot(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, after)| after.split_once('}'));
    let tagged = tag.map(|(tag, _)| tag).filter(|tag| !tag.is_empty()).unwrap_or(key);
    crc16(tagged.as_bytes()) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc: u16, _| match crc & 0x8000 {
            0 => crc << 1,
            _ => (crc << 1) ^ 0x1021,
        })
    })
}

/// Slots from the first to the last, and the host and port of the node that has them; an empty
/// host is the one that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) host: String,
    pub(super) port: u16,
}

/// The answer to `CLUSTER SLOTS`; `None` if it cannot be read.
pub(super) fn ranges(answer: &Value) -> Option<Vec<Range>> {
    let Value::Array(ranges) = answer else {
        return None;
    };
    ranges.iter().map(range).collect()
}

fn range(value: &Value) -> Option<Range> {
    let Value::Array(parts) = value else {
        return None;
    };
    let [first, last, Value::Array(primary), ..] = parts.as_slice() else {
        return None;
    };
    let [host, port, ..] = primary.as_slice() else {
        return None;
    };
    let host = match host {
        Value::BulkString(host) => String::from_utf8(host.clone()).ok()?,
        Value::SimpleString(host) => host.clone(),
        Value::Nil => String::new(),
        _ => return None,
    };
    let host = if host == "?" { String::new() } else { host };
    let slot = |value: &Value| number(value).filter(|slot| *slot < SLOTS);
    let (first, last, port) = (slot(first)?, slot(last)?, number(port)?);
    (first <= last).then_some(Range { first, last, host, port })
}

fn number(value: &Value) -> Option<u16> {
    match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(slot("foo"), 12182);
        assert_eq!(slot("{user1000}.following"), slot("{user1000}.followers"));
        assert_eq!(slot("foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
        assert_eq!(slot("foo{{bar}}zap"), crc16(b"{bar") % SLOTS);
        assert_eq!(slot("foo{bar}{zap}"), slot("bar"));
    }

    #[test]
    fn what_a_cluster_says_is_read_or_refused() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let of = |first, last, host| {
            let node = Value::Array(vec![host, Value::Int(7000), text("id"), Value::Array(vec![])]);
            Value::Array(vec![Value::Array(vec![Value::Int(first), Value::Int(last), node])])
        };
        let read = ranges(&of(0, 5460, text("127.0.0.1"))).unwrap();
        let host = "127.0.0.1".to_owned();
        assert_eq!(read, [Range { first: 0, last: 5460, host, port: 7000 }]);
        assert_eq!(ranges(&of(0, 1, Value::Nil)).unwrap()[0].host, "");
        assert_eq!(ranges(&of(0, 1, text("?"))).unwrap()[0].host, "");
        for broken in [of(2, 1, Value::Nil), of(0, 16_384, Value::Nil), of(-1, 1, Value::Nil)] {
            assert_eq!(ranges(&broken), None);
        }
        assert_eq!(ranges(&Value::Okay), None);
    }
}
