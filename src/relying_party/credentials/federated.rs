//! The token of another issuer, which somebody else writes into a file and renews there. It is read
//! anew for each request: the kubelet changes it whenever it likes. The file may be on a disk that
//! does not answer, so nobody waits for it longer than for a provider.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;

use super::CredentialError;
use crate::config::{LARGEST_TOKEN, read_bounded};
use crate::gate::Secret;

/// The file of one credential.
pub(super) struct TokenFile {
    limit: Duration,
    /// Held by who reads. A read that hangs keeps it, so there is one thread that hangs and not
    /// one for each visitor.
    turn: Arc<Mutex<()>>,
}

impl TokenFile {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, turn: Arc::default() }
    }

    /// What is in the file now.
    pub(super) async fn get(&self, path: &Path) -> Result<Secret<String>, CredentialError> {
        let path = path.to_owned();
        let bytes = self.read(move || read_bounded(&path, LARGEST_TOKEN)).await;
        token(bytes.map_err(CredentialError::TokenFile)?).ok_or(CredentialError::Token)
    }

    /// Reads, in a thread of its own: the end of a runtime would wait for one of its threads.
    async fn read(
        &self,
        read: impl FnOnce() -> io::Result<Vec<u8>> + Send + 'static,
    ) -> io::Result<Vec<u8>> {
        let reading = async {
            let turn = Arc::clone(&self.turn).lock_owned().await;
            let (said, heard) = oneshot::channel();
            thread::Builder::new().name("token-file".to_owned()).spawn(move || {
                let bytes = read();
                drop(turn);
                // Nobody listens any more if it took too long.
                let _ = said.send(bytes);
            })?;
            heard.await.map_err(io::Error::other)?
        };
        let slow = |_| {
            let what = format!("it could not be read within {:?}", self.limit);
            io::Error::new(io::ErrorKind::TimedOut, what)
        };
        timeout(self.limit, reading).await.map_err(slow)?
    }
}

/// A token in the compact form (RFC 7515, section 7.1), with or without a line break behind it.
pub(super) fn token(bytes: Vec<u8>) -> Option<Secret<String>> {
    let text = String::from_utf8(bytes).ok()?;
    let token = text.trim_ascii();
    let is_part = |part: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !part.is_empty() && part.bytes().all(is_plain)
    };
    let is_token = token.split('.').count() == 3 && token.split('.').all(is_part);
    is_token.then(|| Secret::new(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// REL-01
    #[tokio::test]
    async fn rel_01_a_disk_that_does_not_answer_holds_one_thread_and_nobody_for_long() {
        let file = TokenFile::new(Duration::from_millis(50));
        let (answer, disk) = mpsc::channel::<()>();
        let hang = move || {
            let _ = disk.recv();
            Ok(b"late".to_vec())
        };
        assert_eq!(file.read(hang).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let (began, reads) = mpsc::channel();
        let second = move || {
            let _ = began.send(());
            Ok(Vec::new())
        };
        assert_eq!(file.read(second).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(reads.try_recv(), Err(mpsc::TryRecvError::Disconnected), "it never began");
        // The disk is back.
        answer.send(()).unwrap();
        let file = TokenFile { limit: Duration::from_secs(20), ..file };
        assert_eq!(file.read(|| Ok(b"a.b.c".to_vec())).await.unwrap(), b"a.b.c");
    }

    #[test]
    fn only_a_token_is_sent_as_one() {
        for good in ["a.b.c", "eyJ0.eyJh-_.x\n", " a.b.c \r\n"] {
            let read = token(good.as_bytes().to_vec());
            assert_eq!(read.unwrap().expose(), good.trim());
        }
        for other in ["", "\n", "a.b", "a.b.c.d", "a..c", "a.b.c d", "a.b.c\nd.e.f", "{}", "a.b.ä"]
        {
            assert!(token(other.as_bytes().to_vec()).is_none(), "{other}");
        }
        assert!(token(vec![0xff, b'.', b'a', b'.', b'b']).is_none());
    }
}
